"""Measures the gaps between glyphs, which separate words and reveal unread characters."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from app.embedded.images.pixels import Pixels
from app.embedded.ocr.ppocr import Char

# All in ink heights. The width of a space between Hangul depends on the font (Nanum Barun Gothic
# 0.26, Nanum Gothic 0.34, Nanum Gothic Coding 0.61), as do the gaps inside words (up to 0.22, 0.25,
# 0.33). The threshold is estimated from the line; this is the default.
DEFAULT_SPACE = 0.28
MIN_SPACE, MAX_SPACE = 0.12, 0.6
# The lines of a page share a font: its threshold is estimated from at least this many gaps.
MIN_GAPS = 12
CANDIDATE_THRESHOLDS = np.arange(0.2, 0.42, 0.01)  # for a page
MAX_GAP = 0.5  # wider gaps are clipped
PAGE_WEIGHT = 0.75  # of the page's estimate against the default
MIN_BLANK = 0.3  # a blank of this width is not inside a character
# The centres of neighbouring characters are at most one square character apart.
MAX_CHAR_DISTANCE = 1.25
MAX_EDGE_DISTANCE = 0.85


@dataclass(frozen=True, slots=True)
class GlyphSpacing:
    """Where the ink of one line is.

    `runs` are (start, end) of connected ink columns, and `height` is the height of the ink, all as
    shares of the line's width.
    """

    runs: tuple[tuple[float, float], ...]
    height: float

    def widest_gap(self, left: float, right: float) -> float:
        """The widest gap between two positions (shares of the width), in ink heights."""
        return max((end - start for start, end in self._gaps(left, right)), default=0.0)

    def cut_before_hangul(self, left: float) -> float:
        """The centre of the last gap before a syllable that begins at `left`, or `left`."""
        limit = left + 0.15 * self.height
        middles = [(start + end) / 2 * self.height for start, end in self._gaps(0.0, limit)]
        return middles[-1] if middles and left - middles[-1] < self.height / 2 else left

    def cut_after_hangul(self, left: float, is_syllable: bool, next_left: float) -> float:
        """The centre of the gap after a character that begins at `left`.

        Takes the widest gap if it is a space, else the gap nearest to the expected end of the
        character.

        Args:
            is_syllable: the character is a Hangul syllable, not a punctuation mark.
            next_left: where the next character begins, approximately.
        """
        start = left + (0.4 if is_syllable else 0.1) * self.height
        gaps = self._gaps(start, max(next_left, left + self.height) + 0.2 * self.height)
        end = left / self.height + (0.95 if is_syllable else 0.3)
        best = max(gaps, key=lambda b: b[1] - b[0], default=(end, end))
        if best[1] - best[0] < DEFAULT_SPACE and gaps:
            best = min(gaps, key=lambda b: abs((b[0] + b[1]) / 2 - end))
        return (best[0] + best[1]) / 2 * self.height

    @property
    def hangul_space_threshold(self) -> float:
        """The smallest gap that is a space between Hangul, in ink heights.

        The middle of the widest step between two gap widths. Steps near the default are preferred.
        """
        sizes = {end - start for start, end in self._gaps(0.0, 1.0)}
        sizes = {size for size in sizes if MIN_SPACE < size < MAX_SPACE}
        steps = pairwise(sorted({MIN_SPACE, *sizes, MAX_SPACE}))
        low, high = max(steps, key=lambda s: s[1] - s[0] - abs(sum(s) / 2 - DEFAULT_SPACE))
        return (low + high) / 2

    def _gaps(self, left: float, right: float) -> list[tuple[float, float]]:
        """(start, end) of the gaps with their centre between two positions, in ink heights."""
        return [
            (end / self.height, start / self.height)
            for (_, end), (start, _) in pairwise(self.runs)
            if left < (start + end) / 2 < right
        ]

    def has_unread_ink(self, chars: Sequence[Char]) -> bool:
        """Whether ink of at least a character's width has no recognised character.

        PP-OCR silently skips Hangul and is confident about the rest: "21,300원" becomes "21,300"
        with a score of 0.99.
        """
        if not self.runs:
            return False
        positions = [char.x for char in chars if char.text.strip()]
        if not positions:
            return True
        start, end = self.runs[0][0], self.runs[-1][1]
        if max(positions[0] - start, end - positions[-1]) > MAX_EDGE_DISTANCE * self.height:
            return True
        return any(
            self._inked_width(left, right) > MAX_CHAR_DISTANCE * self.height
            for left, right in pairwise(positions)
        )

    def _inked_width(self, left: float, right: float) -> float:
        """Width of ink and small gaps between two positions."""
        blank = self.widest_gap(left, right) * self.height
        return right - left - (blank if blank > MIN_BLANK * self.height else 0.0)


def page_space_threshold(gaps: Sequence[float]) -> float | None:
    """The smallest gap that is a space between Hangul on a page, in ink heights.

    Splits the gaps into two classes by Otsu's criterion. None if there are too few gaps.
    """
    if len(gaps) < MIN_GAPS:
        return None
    sizes = np.minimum(np.asarray(gaps), MAX_GAP)
    separations = [
        _otsu_separation(sizes[sizes <= least], sizes[sizes > least])
        for least in CANDIDATE_THRESHOLDS
    ]
    if not any(separations):
        return None
    best = CANDIDATE_THRESHOLDS[np.isclose(separations, max(separations))].mean()
    return float(PAGE_WEIGHT * best + (1 - PAGE_WEIGHT) * DEFAULT_SPACE)


def _otsu_separation(small: NDArray[np.float64], large: NDArray[np.float64]) -> float:
    """Otsu's between-class variance, not normalised. 0 if a class is empty."""
    if not len(small) or not len(large):
        return 0.0
    return float(len(small) * len(large) * (large.mean() - small.mean()) ** 2)


def measure_spacing(line: Pixels) -> GlyphSpacing:
    """Measures the image of one line, dark on light or light on dark."""
    gray = cv2.cvtColor(line, cv2.COLOR_BGR2GRAY)
    _, mask = cv2.threshold(gray, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    if mask.mean() > 0.5:  # ink covers less than half
        mask = 1 - mask
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return GlyphSpacing((), 1.0)
    width = line.shape[1]
    edges = np.flatnonzero(np.diff(np.pad(mask.any(axis=0).astype(np.int8), 1)))
    runs = tuple((a / width, b / width) for a, b in edges.reshape(-1, 2).tolist())
    return GlyphSpacing(runs, (int(rows[-1] - rows[0]) + 1) / width)
