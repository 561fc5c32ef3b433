"""Where the ink lies along a line of text: its gaps tell words apart, and what was not read."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from app.embedded.images.pixels import Pixels
from app.embedded.ocr.ppocr import Char

# All in heights of the ink. The gap of a space between Hangul differs from font to font (Nanum
# Barun Gothic 0.26, Nanum Gothic 0.34, its Coding 0.61), as do the gaps inside words (up to 0.22,
# 0.25, 0.33): a line's own gaps tell, and where they do not, this does.
DEFAULT_SPACE = 0.28
MIN_SPACE, MAX_SPACE = 0.12, 0.6
# A page's lines are set in one font: with this many gaps, its own least space is known.
MIN_GAPS = 12
CANDIDATE_THRESHOLDS = np.arange(0.2, 0.42, 0.01)  # where a page's least space is looked for
MAX_GAP = 0.5  # a wider gap is a space as any other
PAGE_WEIGHT = 0.75  # of the page's own least space beside the usual one
MIN_BLANK = 0.3  # that much without ink is no part of a character
# Two neighbouring characters' middles are at most a square character apart.
MAX_CHAR_DISTANCE = 1.25
MAX_EDGE_DISTANCE = 0.85


@dataclass(frozen=True, slots=True)
class GlyphSpacing:
    """`runs` are the (start, end) of connected ink columns and `height` is the ink's height, all
    as shares of the line's width."""

    runs: tuple[tuple[float, float], ...]
    height: float

    def widest_gap(self, left: float, right: float) -> float:
        """The widest blank between two places (shares of the width), in heights of the ink."""
        return max((end - start for start, end in self._gaps(left, right)), default=0.0)

    def cut_before_hangul(self, left: float) -> float:
        """The middle of the last blank before a syllable that begins at `left`, or `left`."""
        limit = left + 0.15 * self.height
        middles = [(start + end) / 2 * self.height for start, end in self._gaps(0.0, limit)]
        return middles[-1] if middles and left - middles[-1] < self.height / 2 else left

    def cut_after_hangul(self, left: float, is_syllable: bool, next_left: float) -> float:
        """The middle of the blank after a character that begins at `left` (a syllable: `wide`,
        or a mark), before what begins near `following`: the blank of a space, else the one
        nearest to where the character should end."""
        start = left + (0.4 if is_syllable else 0.1) * self.height
        gaps = self._gaps(start, max(next_left, left + self.height) + 0.2 * self.height)
        end = left / self.height + (0.95 if is_syllable else 0.3)
        best = max(gaps, key=lambda b: b[1] - b[0], default=(end, end))
        if best[1] - best[0] < DEFAULT_SPACE and gaps:
            best = min(gaps, key=lambda b: abs((b[0] + b[1]) / 2 - end))
        return (best[0] + best[1]) / 2 * self.height

    @property
    def hangul_space_threshold(self) -> float:
        """The least gap that is a space between Hangul: the middle of the widest step between
        two sizes of gaps, those near the usual one before others."""
        sizes = {end - start for start, end in self._gaps(0.0, 1.0)}
        sizes = {size for size in sizes if MIN_SPACE < size < MAX_SPACE}
        steps = pairwise(sorted({MIN_SPACE, *sizes, MAX_SPACE}))
        low, high = max(steps, key=lambda s: s[1] - s[0] - abs(sum(s) / 2 - DEFAULT_SPACE))
        return (low + high) / 2

    def _gaps(self, left: float, right: float) -> list[tuple[float, float]]:
        """The (start, end) of blanks whose middle is between two places, in heights."""
        return [
            (end / self.height, start / self.height)
            for (_, end), (start, _) in pairwise(self.runs)
            if left < (start + end) / 2 < right
        ]

    def has_unread_ink(self, chars: Sequence[Char]) -> bool:
        """Whether ink of a character's size or more has no read character on it.

        PP-OCR leaves out Hangul without a word and is sure of the rest: "21,300원" becomes
        "21,300" with a score of .99.
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
        """How much of the stretch between two places is ink or small gaps."""
        blank = self.widest_gap(left, right) * self.height
        return right - left - (blank if blank > MIN_BLANK * self.height else 0.0)


def page_space_threshold(gaps: Sequence[float]) -> float | None:
    """The least gap that is a space on a page with these gaps between Hangul, in heights of the
    ink: where they part best into two kinds (Otsu's criterion). None for too few gaps."""
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
    """How well two kinds are apart, by Otsu; 0 where there is but one."""
    if not len(small) or not len(large):
        return 0.0
    return float(len(small) * len(large) * (large.mean() - small.mean()) ** 2)


def measure_spacing(line: Pixels) -> GlyphSpacing:
    """The ink of one line's picture, dark on light or light on dark."""
    gray = cv2.cvtColor(line, cv2.COLOR_BGR2GRAY)
    _, mask = cv2.threshold(gray, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    if mask.mean() > 0.5:  # there is less ink than ground
        mask = 1 - mask
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return GlyphSpacing((), 1.0)
    width = line.shape[1]
    edges = np.flatnonzero(np.diff(np.pad(mask.any(axis=0).astype(np.int8), 1)))
    runs = tuple((a / width, b / width) for a, b in edges.reshape(-1, 2).tolist())
    return GlyphSpacing(runs, (int(rows[-1] - rows[0]) + 1) / width)
