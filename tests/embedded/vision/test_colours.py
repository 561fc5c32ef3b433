"""Names and shares of dominant colours."""

import numpy as np

from app.embedded.vision.colours import dominant_colours


def test_two_halves() -> None:
    image = np.zeros((90, 120, 3), dtype=np.uint8)
    image[:, :80] = (210, 95, 45)  # BGR
    image[:, 80:] = (250, 250, 250)
    blue, white = dominant_colours(image)
    assert (blue.english, blue.korean, white.english) == ("blue", "파랑", "white")
    assert abs(blue.share - 2 / 3) < 0.02
    assert abs(white.share - 1 / 3) < 0.02


def test_a_small_share_is_not_reported() -> None:
    image = np.full((100, 100, 3), 250, dtype=np.uint8)
    image[:10, :10] = (45, 95, 210)
    assert [colour.english for colour in dominant_colours(image)] == ["white"]
