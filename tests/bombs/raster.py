"""Pictures that are small and take a decoder long, or much memory."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

import app.images.formats  # noqa: F401 - lets Pillow write HEIC, too
from tests.bombs.pdf import deflated


def _saved(image: Image.Image, kind: str, **how: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


def _noise(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(5)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), "uint8"))


def progressive(width: int, height: int, scans: int) -> bytes:
    """A JPEG whose last scan stands there again and again."""
    data = _saved(Image.new("RGB", (width, height), "gray"), "JPEG", progressive=True)
    last = data.rfind(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + b"\xff\xd9"


def sequential(width: int, height: int, scans: int) -> bytes:
    """A JPEG of one component a scan, the same again and again."""
    table = b"\xff\xdb\0\x43\0" + b"\x01" * 64
    frame = b"\xff\xc0\0\x11\x08" + struct.pack(">HH", height, width)
    frame += b"\x03\x01\x11\0\x02\x11\0\x03\x11\0"
    huffman = b"\xff\xc4\0\x14\0\x01" + bytes(15) + b"\0"
    huffman += b"\xff\xc4\0\x14\x10\x01" + bytes(15) + b"\0"
    blocks = (width + 7) // 8 * ((height + 7) // 8)
    scan = b"\xff\xda\0\x08\x01%c\0\0\x3f\0" + bytes(blocks // 4 + 2)
    every = scan % 1 + scan % 2 + scan % 3
    return b"\xff\xd8" + table + frame + huffman + every * scans + b"\xff\xd9"


def sized_jpeg(width: int, height: int) -> bytes:
    """Of a small JPEG, with another size in its head."""
    data = bytearray(_saved(_noise(64, 64), "JPEG"))
    at = data.find(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(
    width: int, height: int, bits: int, colour: int, pixels: bytes, *more: bytes, lace: int = 0
) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, lace)
    body = chunk(b"IHDR", head) + b"".join(more) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def tiff(*directories: dict[int, tuple[int, int, int]], data: bytes = b"", last: int = 0) -> bytes:
    """Directories of tag -> (type, count, value); `last` is where the last one points."""
    out = bytearray(b"II*\0") + struct.pack("<I", 8 + len(data)) + data
    for number, tags in enumerate(directories):
        out += struct.pack("<H", len(tags))
        for tag, (kind, count, value) in sorted(tags.items()):
            out += struct.pack("<HHII", tag, kind, count, value)
        end = number == len(directories) - 1
        out += struct.pack("<I", last if end else len(out) + 4)
    return bytes(out)


def strip(width: int, height: int, compression: int, size: int, samples: int = 3) -> dict:  # type: ignore[type-arg]
    """The tags of a picture of one strip that begins at byte 8."""
    return {
        256: (4, 1, width),
        257: (4, 1, height),
        258: (3, 1, 8),
        259: (3, 1, compression),
        262: (3, 1, 2 if samples == 3 else 1),
        273: (4, 1, 8),
        277: (3, 1, samples),
        278: (4, 1, height),
        279: (4, 1, size),
    }


def gif(width: int, height: int, frames: int, left: int = 0) -> bytes:
    """Frames of one colour, each as large as told."""
    head = b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0) + bytes(3) + b"\xff" * 3
    lzw = b"\x02\x02\x44\x01\0"
    frame = b"," + struct.pack("<HHHHB", left, left, width, height, 0) + lzw
    return head + frame * frames + b";"


def bmp(width: int, height: int, bits: int, compression: int, data: bytes) -> bytes:
    size = 54 + 1024 + len(data)
    head = b"BM" + struct.pack("<IHHI", size, 0, 0, 54 + 1024)
    info = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 0, 0, 256, 0
    )
    return head + info + bytes(1024) + data


def _jpeg() -> Iterator[tuple[str, bytes]]:
    yield "JPEG progressive, 5,000 scans", progressive(640, 480, 5000)
    yield "JPEG progressive, 20,000 scans of 64x64", progressive(64, 64, 20_000)
    yield "JPEG progressive, 12 megapixels, 400 scans", progressive(4000, 3000, 400)
    yield "JPEG progressive, 49 megapixels, 60 scans", progressive(7000, 7000, 60)
    yield "JPEG sequential, 3,000 scans of 1000x1000", sequential(1000, 1000, 3000)
    yield "JPEG 65500x65500", sized_jpeg(65500, 65500)
    yield "JPEG 7000x7000 of nothing", sized_jpeg(7000, 7000)
    small = _saved(_noise(64, 64), "JPEG")
    yield "JPEG of 60,000 comments", small[:2] + b"\xff\xfe\0\x02" * 60_000 + small[2:200]
    profile = b"ICC_PROFILE\0\1\1" + b"\xff" * 60_000
    told = b"\xff\xe2" + struct.pack(">H", len(profile) + 2) + profile
    yield "JPEG of 300 colour profiles", small[:2] + told * 300 + small[2:-2]
    exif = (
        b"Exif\0\0MM\0*\0\0\0\x08"
        + struct.pack(">H", 5000)
        + b"\x01\x12\0\3\0\0\0\1\0\6\0\0" * 5000
    )
    told = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    yield "JPEG whose EXIF points to itself", small[:2] + told + small[2:-900]


def _png() -> Iterator[tuple[str, bytes]]:
    zeros = deflated(1, 10**8)
    yield "PNG 30000x30000", png(30000, 30000, 1, 0, zeros)
    yield "PNG 16000x16000 16 bit RGBA", png(16000, 16000, 16, 6, zeros)
    yield "PNG 7000x7000 interlaced, cut", png(7000, 7000, 8, 6, zeros[: len(zeros) // 2], lace=1)
    yield "PNG 7000x7000 RGB, cut", png(7000, 7000, 8, 2, deflated(1, 3 * 10**7))
    text = b"a\0\0" + deflated(1, 4 * 10**8)
    yield "PNG of a text of 400 MB", png(64, 64, 8, 2, b"", chunk(b"zTXt", text))
    profile = b"a\0\0" + deflated(1, 4 * 10**8)
    yield "PNG of a profile of 400 MB", png(64, 64, 8, 2, b"", chunk(b"iCCP", profile))
    yield "PNG of 1,000,000 chunks", png(64, 64, 8, 2, b"", chunk(b"aaAa", b"") * 1_000_000)
    words = chunk(b"iTXt", b"a\0\1\0\0\0" + deflated(1, 10**6)) * 200
    yield "PNG of 200 texts of 1 MB", png(64, 64, 8, 2, b"", words)
    yield "PNG 1x16000000", png(1, 16_000_000, 8, 0, zeros)
    frames = b"".join(
        chunk(b"fcTL", struct.pack(">IIIIIHHBB", at, 64, 64, 0, 0, 1, 1, 0, 0))
        for at in range(50_000)
    )
    control = chunk(b"acTL", struct.pack(">II", 50_000, 0))
    yield "PNG of 50,000 frames, none there", png(64, 64, 8, 2, b"", control + frames)


def _tiff() -> Iterator[tuple[str, bytes]]:
    zeros = deflated(1, 4 * 10**7)
    yield "TIFF 40000x40000", tiff(strip(40000, 40000, 8, len(zeros)), data=zeros)
    yield "TIFF 7000x7000, cut", tiff(strip(7000, 7000, 8, len(zeros)), data=zeros)
    yield "TIFF that points to itself", tiff(strip(16000, 3000, 1, 9, 1), data=bytes(16), last=24)
    pages = [strip(2000, 2000, 8, len(zeros)) for _ in range(60_000)]
    yield "TIFF of 60,000 pages", tiff(*pages, data=zeros)
    wide = strip(7000, 7000, 1, 10**9)
    yield "TIFF of a strip of 1 GB", tiff(wide, data=bytes(64))
    pieces = strip(7000, 7000, 1, 1, 1) | {273: (4, 400_000_000, 8), 278: (4, 1, 1)}
    yield "TIFF of 400,000,000 strips", tiff(pieces, data=bytes(64))
    tags = dict.fromkeys(range(30000, 60000), (2, 2**31, 8))
    yield "TIFF of 30,000 tags of 2 GB", tiff({**strip(64, 64, 1, 64), **tags}, data=bytes(64))
    bands = strip(7000, 7000, 8, len(zeros), 60_000)
    yield "TIFF of 60,000 samples a pixel", tiff(bands, data=zeros)
    fax = strip(16000, 3000, 4, 60_000, 1) | {258: (3, 1, 1)}
    yield "TIFF fax of ones", tiff(fax, data=b"\xff" * 60_000)
    jpeg = sized_jpeg(7000, 7000)
    yield "TIFF of a JPEG of nothing", tiff(strip(7000, 7000, 7, len(jpeg)), data=jpeg)


def _others() -> Iterator[tuple[str, bytes]]:
    yield "GIF 65535x65535", gif(65535, 65535, 1)
    yield "GIF 100,000 frames of 60000x1", gif(60000, 1, 100_000)
    yield "GIF frame at 65000,65000", gif(400, 400, 3, left=65000)
    yield "BMP 60000x60000 by run lengths", bmp(60000, 60000, 8, 1, b"\xff\0" * 5000)
    yield "BMP 7000x7000 of nothing", bmp(7000, 7000, 8, 1, b"\0\1")
    yield "BMP upside down, 2 GB", bmp(2**30, -(2**31), 24, 0, bytes(64))
    canvas = b"VP8X" + struct.pack("<IB3s", 10, 0x10, bytes(3)) + b"\xff" * 6
    vp8l = _saved(_noise(64, 64), "WEBP", lossless=True)[12:]
    yield "WebP canvas 16777216x16777216", b"RIFF\0\xff\0\0WEBP" + canvas + vp8l
    data = bytearray(_saved(_noise(300, 300), "WEBP", lossless=True))
    data[21:24] = b"\xff" * 3  # another size in its head
    yield "WebP of another size", bytes(data)
    moved = [Image.new("RGB", (64, 64), (at % 256, 0, 0)) for at in range(300)]
    webp = _saved(moved[0], "WEBP", save_all=True, append_images=moved[1:], lossless=True)
    yield "WebP animation, cut", webp[: len(webp) // 2]
    avif = _saved(_noise(256, 256), "AVIF", speed=10)
    heif = _saved(_noise(256, 256), "HEIF")
    for name, file in (("AVIF", avif), ("HEIC", heif)):
        at = file.find(b"ispe") + 8
        for side in (7000, 60000):
            told = struct.pack(">II", side, side)
            yield f"{name} that says {side}x{side}", file[:at] + told + file[at + 8 :]
    yield "HEIC of boxes in boxes", heif[:24] + b"\0\0\xff\xffmeta\0\0\0\0" * 20_000
    yield "AVIF of boxes in boxes", avif[:24] + b"\0\0\xff\xffmeta\0\0\0\0" * 20_000
    first, second = _saved(_noise(64, 64), "JPEG"), progressive(640, 480, 3000)
    yield "MPO whose second picture is a bomb", first[:300] + second


def bombs() -> Iterator[tuple[str, bytes]]:
    """Name and file of each."""
    yield from _jpeg()
    yield from _png()
    yield from _tiff()
    yield from _others()
