"""Statistics of drawn images."""

import cv2
import numpy as np
import pytest

from app.embedded.images.pixels import Pixels
from app.embedded.vision.image_stats import compute_stats


def noise(height: int = 120, width: int = 160) -> Pixels:
    return np.random.default_rng(7).integers(0, 255, (height, width, 3), dtype=np.uint8)


def test_one_colour() -> None:
    stats = compute_stats(np.full((60, 90, 3), 255, dtype=np.uint8))
    assert (stats.brightness, stats.saturation, stats.sharpness) == (1, 0, 0)
    assert (stats.flat_share, stats.top_colour_share, stats.colour_count) == (1, 1, 1)
    assert stats.is_grey


def test_noise() -> None:
    stats = compute_stats(noise())
    assert stats.flat_share < 0.01
    assert stats.top8_colour_share < 0.05
    assert not stats.is_grey


def test_blur_lowers_sharpness_and_contrast_does_not() -> None:
    sharp = noise()
    blurred = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 3), dtype=np.uint8)
    pale = sharp // 4 + 100
    assert compute_stats(blurred).sharpness < compute_stats(sharp).sharpness / 2
    assert compute_stats(pale).sharpness > compute_stats(sharp).sharpness * 0.9


@pytest.mark.parametrize(
    ("width", "height", "orientation"),
    [(90, 60, "landscape"), (60, 90, "portrait"), (100, 96, "square")],
)
def test_orientation(width: int, height: int, orientation: str) -> None:
    stats = compute_stats(np.zeros((height, width, 3), dtype=np.uint8))
    assert (stats.width, stats.height, stats.orientation) == (width, height, orientation)


def test_a_large_image_is_reduced_and_keeps_its_size() -> None:
    stats = compute_stats(np.full((2000, 3000, 3), 128, dtype=np.uint8))
    assert (stats.width, stats.height) == (3000, 2000)
