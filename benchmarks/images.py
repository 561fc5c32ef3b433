"""Preparing a photo beside plain open-resize-save; the first page of a document beside the last.

    python -m benchmarks.images

Rounds are interleaved, times are medians, peak memory is that of a fresh process each.
"""

import base64
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import httpx
import numpy as np
from PIL import Image, ImageFilter

from app.images.budget import fit_size
from app.images.decode import prepare
from app.images.picture import Limits
from app.images.probe import probe
from app.models.tokens import ImageTokenRule
from tests.engine_embedded import embedded_engine
from tests.inference_server import Server
from tests.pictures import text_pdf

ROUNDS = 7
RULE = ImageTokenRule(32, 64, 2048)
AUTO = 1536
LIMITS = Limits(max_megapixels=50)
PHOTO = Path(__file__).parents[1] / "examples" / "photo.jpg"


def photo_12mp() -> bytes:
    """A real photo brought to 4000x3000 with a camera's grain."""
    image = Image.open(PHOTO).convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC)
    image = image.filter(ImageFilter.UnsharpMask(3, 120, 2))
    grain = np.random.default_rng(0).normal(0, 4, (3000, 4000, 1))
    pixels = (np.asarray(image, float) + grain).clip(0, 255).astype("uint8")
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=92)
    return out.getvalue()


def ours(data: bytes) -> bytes:
    """As the server does it."""
    (picture,) = probe(data, 0, LIMITS)
    return base64.b64decode(prepare(picture, fit_size(picture.natural_size, RULE, AUTO)).base64)


def plain(data: bytes) -> bytes:
    """As everybody writes it."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    size = fit_size(image.size, RULE, AUTO)
    out = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(out, "JPEG", quality=90)
    return out.getvalue()


WAYS: dict[str, Callable[[bytes], bytes]] = {"ours": ours, "plain": plain}


def ssim(a: bytes, b: bytes) -> float:
    """Structural similarity of two pictures' lightness (Wang et al. 2004: Gaussian 11, 1.5)."""
    x, y = (np.asarray(Image.open(io.BytesIO(one)).convert("L"), float) for one in (a, b))

    def blur(values: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5))

    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    index = ((2 * mx * my + c1) * (2 * cov + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return float(index.mean())


def peak_mb(way: str, data: bytes) -> float:
    """What one picture adds to a process that has everything loaded."""
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(data)
        file.flush()
        code = (
            "import sys, resource, io; from PIL import Image; import benchmarks.images as b\n"
            "small = io.BytesIO(); Image.new('RGB', (64, 64)).save(small, 'JPEG')\n"
            f"b.WAYS[{way!r}](small.getvalue()); data = open({file.name!r}, 'rb').read()\n"
            "peak = lambda: int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
            "open('/proc/self/clear_refs', 'w').write('5')\n"
            f"before = peak(); b.WAYS[{way!r}](data); print((peak() - before) / 1024)"
        )
        done = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
    return float(done.stdout)


def compare_photo() -> None:
    """Print time, memory and likeness of both ways for one photo."""
    data = photo_12mp()
    took: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(ROUNDS):
        for way in sorted(WAYS, reverse=bool(number % 2)):
            started = time.perf_counter()
            WAYS[way](data)
            took[way].append((time.perf_counter() - started) * 1e3)
    median = {way: statistics.median(times) for way, times in took.items()}
    peak = {way: statistics.median(peak_mb(way, data) for _ in range(3)) for way in WAYS}
    _print(f"A 4000x3000 JPEG of {len(data) / 1e6:.1f} MB to {AUTO} tokens")
    for way in WAYS:
        _print(f"  {way:6} {median[way]:7.0f} ms {peak[way]:7.0f} MB")
    _print(
        f"  faster {median['plain'] / median['ours']:.2f} x, peak memory "
        f"{peak['ours'] / peak['plain']:.2f} of plain's, SSIM {ssim(ours(data), plain(data)):.4f}"
    )


def first_page() -> None:
    """A document of 20 pages with text, through the HTTP API."""
    lines = "\n".join(f"Line {number} of a page of text." for number in range(40))
    pdf = text_pdf([f"Page {number}\n{lines}" for number in range(1, 21)])
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded_engine(Path(folder) / "engine.log") as url,
        Server(Path(folder) / "server.log", OLLAMA_HOST=url, MODEL_NAME="embedded") as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=600) as client,
    ):
        for name, fields in {
            "text layer": {},
            "rendered and read": {"format": "markdown"},
        }.items():
            first, total = _streamed(client, pdf, fields)
            _print(
                f"  {name:18} first text {first:7.2f} s, all {total:7.2f} s: {first / total:.2f}"
            )


def _streamed(client: httpx.Client, pdf: bytes, fields: dict[str, str]) -> tuple[float, float]:
    started = time.perf_counter()
    first = 0.0
    accept = {"Accept": "application/x-ndjson"}
    data = {"stream": "true", **fields}
    files = {"image": pdf}
    with client.stream("POST", "/v1/ocr", files=files, data=data, headers=accept) as answer:
        for line in answer.iter_lines():
            if not first and json.loads(line)["event"] == "delta":
                first = time.perf_counter() - started
    return first, time.perf_counter() - started


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")


def main() -> None:
    """Measure a photo, then a PDF."""
    compare_photo()
    _print("A PDF of 20 pages, from sending it")
    first_page()


if __name__ == "__main__":
    main()
