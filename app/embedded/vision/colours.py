"""Names the dominant colours of an image."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.embedded.images.pixels import Pixels

SAMPLE_SIDE = 96  # pixels; the image is reduced to this side, which averages fine grain
MIN_SHARE = 0.04  # of the image; smaller shares are not reported
LIGHTNESS_WEIGHT = 0.6  # weight of a difference in lightness against one in hue

# (English, Korean) -> sRGB of a typical sample.
PALETTE = {
    ("black", "검정"): (20, 20, 20),
    ("dark grey", "짙은 회색"): (70, 70, 70),
    ("grey", "회색"): (128, 128, 128),
    ("light grey", "밝은 회색"): (200, 200, 200),
    ("white", "흰색"): (250, 250, 250),
    ("red", "빨강"): (205, 40, 40),
    ("dark red", "짙은 빨강"): (120, 25, 25),
    ("orange", "주황"): (240, 140, 30),
    ("brown", "갈색"): (120, 75, 40),
    ("beige", "베이지"): (222, 200, 165),
    ("yellow", "노랑"): (240, 220, 60),
    ("olive", "올리브색"): (120, 120, 45),
    ("green", "초록"): (50, 150, 60),
    ("dark green", "짙은 초록"): (25, 75, 35),
    ("light green", "연두"): (150, 210, 140),
    ("teal", "청록"): (30, 140, 140),
    ("sky blue", "하늘색"): (130, 190, 235),
    ("blue", "파랑"): (45, 95, 210),
    ("navy", "남색"): (25, 35, 95),
    ("purple", "보라"): (120, 55, 160),
    ("pink", "분홍"): (240, 160, 190),
}
COLOUR_NAMES = tuple(PALETTE)


@dataclass(frozen=True, slots=True)
class NamedColour:
    """A colour by name. `share` of the image, 0 to 1."""

    english: str
    korean: str
    share: float


def dominant_colours(image: Pixels) -> tuple[NamedColour, ...]:
    """The colours with a share of at least `MIN_SHARE`, largest first."""
    small = cv2.resize(image, (SAMPLE_SIDE, SAMPLE_SIDE), interpolation=cv2.INTER_AREA)[:, :, ::-1]
    pixels, palette = (
        _lab(np.asarray(small, dtype=np.uint8)),
        _lab(np.array(list(PALETTE.values()), dtype=np.uint8)),
    )
    distances = ((pixels[:, None] - palette[None]) ** 2 * np.array([LIGHTNESS_WEIGHT, 1, 1])).sum(
        axis=2
    )
    shares = np.bincount(distances.argmin(axis=1), minlength=len(COLOUR_NAMES)) / len(pixels)
    order = [int(number) for number in shares.argsort()[::-1] if shares[number] >= MIN_SHARE]
    return tuple(NamedColour(*COLOUR_NAMES[number], float(shares[number])) for number in order)


def _lab(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, 3) in CIELAB, where distances correspond to perceived differences."""
    row = np.ascontiguousarray(rgb.reshape(1, -1, 3)).astype(np.float32) / 255
    return np.asarray(cv2.cvtColor(row, cv2.COLOR_RGB2LAB)[0], dtype=np.float32)
