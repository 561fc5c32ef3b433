"""Where the ink lies along a line of text: its gaps tell words apart, and what was not read."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from app.embedded.ppocr import Char, Pixels

# Gaps in heights of the ink. Measured on Nanum Gothic: between Hangul of one word up to 0.25, at
# a space 0.34 to 0.68; between Latin letters and digits of one word up to 0.5 (beside "1", ",").
HANGUL_SPACE = 0.3
MIXED_SPACE = 0.42
LATIN_SPACE = 0.55
WIDE_SPACE = 1.8
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
        gaps = (
            start - end
            for (_, end), (start, _) in pairwise(self.runs)
            if left < (start + end) / 2 < right
        )
        return max(gaps, default=0.0) / self.height

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
        return right - left - (blank if blank > HANGUL_SPACE * self.height else 0.0)


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
