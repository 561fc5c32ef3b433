"""Every file of the corpus is upright with the right pixels, or is rejected with its code."""

import base64
import io
import re
import time
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from app.errors import Problem
from app.images.budget import fit_size
from app.images.decode import prepare
from app.images.picture import Limits
from app.images.probe import probe
from app.images.sources import image_from_bytes
from app.models.tokens import ImageTokenRule
from tests.images.corpus import Case, corpus
from tests.images.files import bomb_bmp, bomb_gif, bomb_png, tiff_pages

LIMITS = Limits(max_megapixels=50)
RULE = ImageTokenRule(32, 64, 2048)
CASES = corpus()
LEAST_DB = 30.0

worst: dict[str, float] = {}


def through(data: bytes) -> Image.Image:
    """Return the first picture of a file as Ollama decodes it."""
    picture = probe(image_from_bytes(data, 0), 0, LIMITS)[0]
    size = fit_size(picture.natural_size, RULE, 1536)
    sent = Image.open(io.BytesIO(base64.b64decode(prepare(picture, size).base64)))
    assert sent.size == size
    assert sent.format in ("JPEG", "PNG")
    assert sent.mode in ("RGB", "L", "P", "1")  # a gray or palette image may be passed through
    return sent.convert("RGB")


def psnr(a: Image.Image, b: Image.Image) -> float:
    """Return the peak signal-to-noise ratio in dB; `b` is resized to the size of `a`."""
    b = b.convert("RGB").resize(a.size, Image.Resampling.LANCZOS)
    error = np.mean((np.asarray(a, float) - np.asarray(b, float)) ** 2)
    return float(99.0 if error == 0 else 10 * np.log10(255**2 / error))


def test_it_is_a_corpus() -> None:
    assert len(CASES) >= 120
    assert len({case.name for case in CASES}) == len(CASES)
    assert sum(case.reference is None for case in CASES) >= 30


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_file(case: Case) -> None:
    if case.reference is None:
        with pytest.raises(Problem) as refused:
            through(case.data)
        assert refused.value.code == case.code
        assert re.fullmatch(r"image\[0\].*\.", refused.value.detail)
        return
    quality = psnr(through(case.data), case.reference)
    worst[case.name] = quality
    assert quality >= LEAST_DB


def test_the_worst_of_all() -> None:
    name = min(worst, key=lambda one: worst[one], default="")
    if name:
        print(f"{len(CASES)} files; worst of the valid: {name}, {worst[name]:.1f} dB")


@pytest.mark.parametrize(
    "data",
    [bomb_png(30_000, 30_000), bomb_gif(65_000, 65_000), bomb_bmp(30_000, 30_000), tiff_pages(400)],
    ids=["PNG", "GIF", "BMP", "TIFF"],
)
def test_bombs_cost_nothing(data: bytes) -> None:
    """Under 50 ms of CPU, or 200 where others use the machine, and 50 MB; the best of three."""
    took = []
    tracemalloc.start()
    for _ in range(3):
        started = time.thread_time()
        with pytest.raises(Problem):
            probe(data, 0, LIMITS)
        took.append(time.thread_time() - started)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert min(took) < 0.2
    assert peak < 50e6
