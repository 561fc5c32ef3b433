"""A file with a few wrong bytes yields a picture or a `Problem`, and no other exception."""

import random
import time
import zlib

import pytest

from app.errors import Problem, UnreadableImage
from app.images.decode import prepare
from app.images.picture import Limits
from app.images.probe import probe
from tests.bombs.raster import png
from tests.images.corpus import Case, corpus

LIMITS = Limits(max_megapixels=50)
MUTATIONS = 12
SLOW_S = 2.0  # of CPU

VALID = [
    case for case in corpus() if case.reference is not None and " orientation " not in case.name
]


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Truncate the data, or change some bytes, most of them near the header."""
    if rng.random() < 0.2:
        return data[: rng.randrange(1, len(data))]
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        out[int(len(out) * rng.random() ** 3)] = rng.randrange(256)
    return bytes(out)


@pytest.mark.parametrize("case", VALID, ids=lambda case: case.name)
def test_damage_is_a_problem(case: Case) -> None:
    rng = random.Random(case.name)
    for _ in range(MUTATIONS):
        data = damaged(case.data, rng)
        started = time.thread_time()
        try:
            for picture in probe(data, 0, LIMITS):
                prepare(picture, (96, 96))
        except Problem as problem:
            assert problem.status in (413, 415, 422)
            assert "\n" not in problem.detail
        assert time.thread_time() - started < SLOW_S


def test_a_palette_that_is_missing() -> None:
    """Pillow raises AssertionError without a palette; found by `tests.fuzz.files`."""
    pixels = zlib.compress(bytes(65) * 64)
    data = png(64, 64, 8, 3, pixels)
    (picture,) = probe(data, 0, Limits(50))
    with pytest.raises(UnreadableImage):
        prepare(picture, (96, 96))
