"""Fuzz what decodes files: python -m tests.fuzz.files --seconds 600

Heads and bodies of small files of every format are changed, and sent through the decoder processes
as the server does. An input is told where it is answered by anything but a refusal of the client's
file or a picture, where a process is not ended in its time, or where the event loop is held.
"""

import argparse
import asyncio
import base64
import io
import random
import time
from collections import Counter
from pathlib import Path

from PIL import Image

import app.images.formats  # noqa: F401 - lets Pillow write HEIC, too
from app.errors import InternalError, Problem
from app.images.decoder import Decoder
from app.images.picture import Limits
from tests.bombs import pdf
from tests.pictures import encoded, scene

TIMEOUT_S = 1.0  # of CPU for one job; by the clock four times that
SIZE = (320, 256)
LAG_S = 0.25
BEAT_S = 0.01
INTERESTING = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\1", b"\xff\xff", b"\0")


def seeds() -> dict[str, bytes]:
    """A small file of each format, and PDFs of several makings."""
    image = scene(96, 64)
    made = {kind: encoded(image, kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")}
    made |= {kind: encoded(image, kind) for kind in ("AVIF", "HEIF")}
    made["JPEG progressive"] = encoded(image, "JPEG", progressive=True)
    made["PNG interlaced palette"] = encoded(image.quantize(16), "PNG", transparency=0)
    made["WebP lossless"] = encoded(image, "WEBP", lossless=True)
    made["TIFF LZW"] = encoded(image, "TIFF", compression="tiff_lzw")
    out = io.BytesIO()
    image.save(out, "PDF")
    made["PDF of a picture"] = out.getvalue()
    made["PDF of text"] = Path("examples/letter.pdf").read_bytes()
    made["PDF of forms"] = pdf.nested_forms(3, 3)
    made["MPO"] = encoded(image, "MPO", save_all=True, append_images=[image.rotate(90)])
    exif = Image.Exif()
    exif[0x0112] = 6
    made["JPEG turned"] = encoded(image, "JPEG", exif=exif)
    return made


def changed(data: bytes, chance: random.Random) -> bytes:
    """Some bytes of it are others; half of the time those of its head."""
    made = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(min(len(made), 600) if chance.random() < 0.5 else len(made))
        match chance.randrange(5):
            case 0:
                made[at] = chance.randrange(256)
            case 1:
                new = chance.choice(INTERESTING)
                made[at : at + len(new)] = new
            case 2:
                del made[at : at + chance.randint(1, 40)]
            case 3:
                piece = made[at : at + chance.randint(1, 300)]
                made[at:at] = piece * chance.randint(1, 60)
            case _:
                made[at : at + 4] = chance.randbytes(4)
        if not made:
            return data
    return bytes(made)


async def fuzz(seconds: float, chance: random.Random) -> tuple[Counter[str], list[tuple[str, str]]]:
    """How the inputs were answered, and those that were not as they should."""
    told: Counter[str] = Counter()
    found: list[tuple[str, str]] = []
    known = seeds()
    decoder = Decoder(Limits(50), timeout_s=TIMEOUT_S)
    lag = asyncio.create_task(_lag(found))
    ends = time.monotonic() + seconds

    async def one() -> None:
        while time.monotonic() < ends:
            name = chance.choice(list(known))
            data = changed(known[name], chance)
            began = time.monotonic()
            try:
                pictures = await decoder.probe([data], None)
                for picture in pictures[:2]:
                    await decoder.prepare(picture, SIZE)
                told["a picture"] += 1
            except InternalError as error:
                found.append((f"{name}: {error.detail}", base64.b64encode(data).decode()))
            except Problem as problem:
                told[problem.code] += 1
            except Exception as error:
                found.append((f"{name}: {error!r}", base64.b64encode(data).decode()))
            if (took := time.monotonic() - began) > 60:  # three jobs, and a busy machine
                found.append((f"{name}: {took:.0f} s", base64.b64encode(data).decode()))

    await asyncio.gather(one(), one(), one())
    lag.cancel()
    decoder.close()
    return told, found


async def _lag(found: list[tuple[str, str]]) -> None:
    """How much CPU time the loop has spent between two beats: a busy machine delays them, too."""
    while True:
        before = time.thread_time()
        await asyncio.sleep(BEAT_S)
        if (spent := time.thread_time() - before) > LAG_S:
            found.append((f"the event loop was held for {spent:.2f} s", ""))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seconds", type=float, default=60)
    asked.add_argument("--seed", type=int, default=0)
    options = asked.parse_args()
    told, found = asyncio.run(fuzz(options.seconds, random.Random(options.seed)))
    print(f"{sum(told.values())} files: {dict(told)}; {len(found)} found")
    for why, data in found[:10]:
        print(f"    {why}\n    {data[:2000]}")


if __name__ == "__main__":
    main()
