"""Decoding to upright pixels, and its limits."""

import io
import itertools
import os
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from app.embedded.cancellation import Cancelled
from app.embedded.images import decode
from app.embedded.images.decode import ImageDecodeError, decode_image, decode_images
from tests.embedded.images.image_files import FORMATS, quarters
from tests.embedded.pictures import blank


def with_orientation(image_format: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return quarters(image_format, exif=exif)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", FORMATS)
def test_orientation(image_format: str, orientation: int) -> None:
    pixels = decode_image(with_orientation(image_format, orientation)).pixels
    assert pixels.shape[:2] == ((32, 64) if orientation < 5 else (64, 32))
    height, width = pixels.shape[:2]
    corners = {
        (top, left): pixels[top * height // 2 + 4, left * width // 2 + 4].max() < 60
        for top, left in itertools.product((0, 1), repeat=2)
    }
    (black,) = [place for place, is_black in corners.items() if is_black]
    expected = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1)}
    assert black == expected.get(orientation, (1, 0))


@pytest.mark.parametrize("image_format", FORMATS)
def test_pixels_are_those_of_the_file(image_format: str) -> None:
    rng = np.random.default_rng(5)
    image = Image.fromarray(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8))
    for more in ({}, {"progressive": True}, {"lossless": True}, {"quality": 30}):
        file = io.BytesIO()
        image.save(file, image_format, **more)
        expected = np.asarray(Image.open(file).convert("RGB"))[:, :, ::-1]
        assert np.array_equal(decode_image(file.getvalue()).pixels, expected)


def test_pixels_of_all_images_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "MAX_TOTAL_PIXELS", 10_000_000)
    images = [blank(2000, 2000)] * 4
    assert len(decode_images(images[:2], threading.Event())) == 2
    with pytest.raises(ImageDecodeError, match="more than 10 megapixels together"):
        decode_images(images, threading.Event())


def test_decoding_ends_between_images() -> None:
    cancelled = threading.Event()

    def images() -> Iterator[bytes]:
        yield blank()
        cancelled.set()
        yield os.urandom(10)

    with pytest.raises(Cancelled):
        decode_images(images(), cancelled)  # type: ignore[arg-type]
