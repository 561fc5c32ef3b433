"""Statistics of the pixels of an image."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.embedded.images.pixels import Pixels

MAX_PIXELS = 1_000_000  # larger images are reduced first
BINS = 16  # steps of a colour channel when colours are counted
MAX_GREY_SATURATION = 0.03  # mean saturation below which an image is grey
MIN_COLOUR_SHARE = 2e-4  # minimum share of the pixels of a counted colour


@dataclass(frozen=True, slots=True)
class ImageStats:
    """Shares, brightness and saturation are from 0 to 1.

    `brightness`, `saturation`: means. `sharpness`: standard deviation of the Laplacian divided by
    that of the grey levels; blur lowers it, contrast does not. `flat_share`: pixels equal to their
    right and lower neighbours. `top_colour_share`, `top8_colour_share`: shares of the most frequent
    colour and of the eight most frequent ones. `colour_count`: of 4,096 colours, or of 64 grey
    levels for a grey image.
    """

    width: int
    height: int
    brightness: float
    saturation: float
    sharpness: float
    flat_share: float
    top_colour_share: float
    top8_colour_share: float
    colour_count: int

    @property
    def is_grey(self) -> bool:
        """Whether the image has no colour."""
        return self.saturation < MAX_GREY_SATURATION

    @property
    def orientation(self) -> str:
        """`landscape`, `portrait` or `square` (sides within 5 %)."""
        ratio = self.width / self.height
        if 0.95 < ratio < 1.05:
            return "square"
        return "landscape" if ratio > 1 else "portrait"


def compute_stats(image: Pixels) -> ImageStats:
    """Takes about 20 ms for each megapixel of at most one."""
    height, width = image.shape[:2]
    scale = min(1.0, (MAX_PIXELS / (height * width)) ** 0.5)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = image
    if scale < 1:
        small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    gray = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
    saturation = float(cv2.cvtColor(small, cv2.COLOR_BGR2HSV)[:, :, 1].mean()) / 255
    shares = _shares(gray // 4) if saturation < MAX_GREY_SATURATION else _shares(_colours(small))
    return ImageStats(
        width,
        height,
        brightness=float(gray.mean()) / 255,
        saturation=saturation,
        sharpness=_sharpness(gray),
        flat_share=_flat_share(gray),
        top_colour_share=float(shares[0]),
        top8_colour_share=float(shares[:8].sum()),
        colour_count=int((shares > MIN_COLOUR_SHARE).sum()),
    )


def _colours(image: Pixels) -> NDArray[np.int32]:
    """Each pixel's colour as one number, in steps of 16 a channel."""
    blue, green, red = cv2.split((image // BINS).astype(np.int32))
    return np.asarray((red * BINS + green) * BINS + blue, dtype=np.int32)


def _shares(keys: NDArray[np.int32] | NDArray[np.uint8]) -> NDArray[np.float64]:
    """The share of each number, largest first."""
    counts = np.bincount(keys.ravel(), minlength=8)
    return np.asarray(np.sort(counts)[::-1] / keys.size, dtype=np.float64)


def _sharpness(gray: NDArray[np.uint8]) -> float:
    spread = float(gray.std())
    return float(cv2.Laplacian(gray, cv2.CV_64F).std()) / spread if spread > 1 else 0.0


def _flat_share(gray: NDArray[np.uint8]) -> float:
    right = gray[:-1, 1:] == gray[:-1, :-1]
    below = gray[1:, :-1] == gray[:-1, :-1]
    return float((right & below).mean()) if right.size else 1.0
