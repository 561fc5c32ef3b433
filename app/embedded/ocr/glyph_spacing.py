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
USUAL_SPACE = 0.28
SMALLEST_SPACE, LARGEST_SPACE = 0.12, 0.6
# A page's lines are set in one font: with this many gaps, its own least space is known.
ENOUGH_GAPS = 12
SPACES = np.arange(0.2, 0.42, 0.01)  # where a page's least space is looked for
CLIPPED = 0.5  # a wider gap is a space as any other
OWN_WEIGHT = 0.75  # of the page's own least space beside the usual one
BLANK = 0.3  # that much without ink is no part of a character
# Two neighbouring characters' middles are at most a square character apart.
REACH = 1.25
EDGE_REACH = 0.85


@dataclass(frozen=True, slots=True)
class Ink:
    """`runs` are the (start, end) of connected ink columns and `height` is the ink's height, all
    as shares of the line's width."""

    runs: tuple[tuple[float, float], ...]
    height: float

    def gap(self, left: float, right: float) -> float:
        """The widest blank between two places (shares of the width), in heights of the ink."""
        return max((end - start for start, end in self._blanks(left, right)), default=0.0)

    def before_hangul(self, left: float) -> float:
        """The middle of the last blank before a syllable that begins at `left`, or `left`."""
        limit = left + 0.15 * self.height
        middles = [(start + end) / 2 * self.height for start, end in self._blanks(0.0, limit)]
        return middles[-1] if middles and left - middles[-1] < self.height / 2 else left

    def after_hangul(self, left: float, wide: bool, following: float) -> float:
        """The middle of the blank after a character that begins at `left` (a syllable: `wide`,
        or a mark), before what begins near `following`: the blank of a space, else the one
        nearest to where the character should end."""
        start = left + (0.4 if wide else 0.1) * self.height
        blanks = self._blanks(start, max(following, left + self.height) + 0.2 * self.height)
        end = left / self.height + (0.95 if wide else 0.3)
        best = max(blanks, key=lambda b: b[1] - b[0], default=(end, end))
        if best[1] - best[0] < USUAL_SPACE and blanks:
            best = min(blanks, key=lambda b: abs((b[0] + b[1]) / 2 - end))
        return (best[0] + best[1]) / 2 * self.height

    @property
    def hangul_space(self) -> float:
        """The least gap that is a space between Hangul: the middle of the widest step between
        two sizes of gaps, those near the usual one before others."""
        sizes = {end - start for start, end in self._blanks(0.0, 1.0)}
        sizes = {size for size in sizes if SMALLEST_SPACE < size < LARGEST_SPACE}
        steps = pairwise(sorted({SMALLEST_SPACE, *sizes, LARGEST_SPACE}))
        low, high = max(steps, key=lambda s: s[1] - s[0] - abs(sum(s) / 2 - USUAL_SPACE))
        return (low + high) / 2

    def _blanks(self, left: float, right: float) -> list[tuple[float, float]]:
        """The (start, end) of blanks whose middle is between two places, in heights."""
        return [
            (end / self.height, start / self.height)
            for (_, end), (start, _) in pairwise(self.runs)
            if left < (start + end) / 2 < right
        ]

    def unread(self, chars: Sequence[Char]) -> bool:
        """Whether ink of a character's size or more has no read character on it.

        PP-OCR leaves out Hangul without a word and is sure of the rest: "21,300원" becomes
        "21,300" with a score of .99.
        """
        if not self.runs:
            return False
        places = [char.x for char in chars if char.text.strip()]
        if not places:
            return True
        start, end = self.runs[0][0], self.runs[-1][1]
        if max(places[0] - start, end - places[-1]) > EDGE_REACH * self.height:
            return True
        return any(
            self._covered(left, right) > REACH * self.height for left, right in pairwise(places)
        )

    def _covered(self, left: float, right: float) -> float:
        """How much of the stretch between two places is ink or small gaps."""
        blank = self.gap(left, right) * self.height
        return right - left - (blank if blank > BLANK * self.height else 0.0)


def page_space(gaps: Sequence[float]) -> float | None:
    """The least gap that is a space on a page with these gaps between Hangul, in heights of the
    ink: where they part best into two kinds (Otsu's criterion). None for too few gaps."""
    if len(gaps) < ENOUGH_GAPS:
        return None
    sizes = np.minimum(np.asarray(gaps), CLIPPED)
    apart = [_apart(sizes[sizes <= least], sizes[sizes > least]) for least in SPACES]
    if not any(apart):
        return None
    best = SPACES[np.isclose(apart, max(apart))].mean()
    return float(OWN_WEIGHT * best + (1 - OWN_WEIGHT) * USUAL_SPACE)


def _apart(small: NDArray[np.float64], large: NDArray[np.float64]) -> float:
    """How well two kinds are apart, by Otsu; 0 where there is but one."""
    if not len(small) or not len(large):
        return 0.0
    return float(len(small) * len(large) * (large.mean() - small.mean()) ** 2)


def ink(line: Pixels) -> Ink:
    """The ink of one line's picture, dark on light or light on dark."""
    gray = cv2.cvtColor(line, cv2.COLOR_BGR2GRAY)
    _, mask = cv2.threshold(gray, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    if mask.mean() > 0.5:  # there is less ink than ground
        mask = 1 - mask
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return Ink((), 1.0)
    width = line.shape[1]
    edges = np.flatnonzero(np.diff(np.pad(mask.any(axis=0).astype(np.int8), 1)))
    runs = tuple((a / width, b / width) for a, b in edges.reshape(-1, 2).tolist())
    return Ink(runs, (int(rows[-1] - rows[0]) + 1) / width)
