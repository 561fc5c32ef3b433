"""Reading order: groups text boxes into rows, and renders rows as lines of characters."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np

from app.embedded.ocr.ppocr import Quad

# In box heights. A box is about 1.4 times as high as its letters.
SAME_ROW = 0.5  # maximum distance of the centres
WORD_GAP = 0.35  # smaller gaps are spaces between words; boxes are wider than their letters
PROSE_WIDTH = 8.0  # a box of this width is a line of prose, not a table cell
# The column width of the character grid on which the cells of a row are placed.
CHAR_WIDTH = 0.42
MIN_PROSE_LINES = 4  # in each of two columns


@dataclass(frozen=True, slots=True)
class Cell:
    """A box after deskewing, in pixels. `index` is that of its quad."""

    index: int
    left: float
    right: float
    middle: float
    height: float


Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Rows in reading order.

    `left` is the left edge of the page's text and `char_width` the width of a column of the
    character grid, both in pixels.
    """

    rows: tuple[Row, ...]
    left: float
    char_width: float

    def render_row(self, row: Row, texts: Sequence[str]) -> str:
        """Renders a row as one line of text, with its cells aligned to the character grid."""
        cells = [(cell, text) for cell, text in zip(row, texts, strict=True) if text]
        if not cells:
            return ""
        line = ""
        if len(cells) > 1:
            line = " " * round((cells[0][0].left - self.left) / self.char_width)
        line += cells[0][1]
        for (before, _), (cell, text) in pairwise(cells):
            gap = cell.left - before.right
            if gap < WORD_GAP * min(before.height, cell.height):
                line += " " + text
                continue
            column = round((cell.left - self.left) / self.char_width)
            line += " " * max(2, column - _display_width(line)) + text
        return line


def arrange_rows(quads: Sequence[Quad]) -> Layout:
    """Groups boxes into rows. Columns of prose follow each other; table columns stay in rows."""
    cells = _deskew(quads)
    if not cells:
        return Layout((), 0.0, 1.0)
    rows = tuple(row for block in _split_columns(cells) for row in _group_rows(block))
    char_width = CHAR_WIDTH * median(cell.height for cell in cells)
    return Layout(rows, min(cell.left for cell in cells), char_width)


def skew_angle(quads: Sequence[Quad]) -> float:
    """The slope of the text in radians: the median of boxes at least twice as wide as high."""
    slopes = [
        float(np.arctan2(*(quad[1] - quad[0])[::-1]))
        for quad in quads
        if np.hypot(*(quad[1] - quad[0])) > 2 * np.hypot(*(quad[3] - quad[0]))
    ]
    slope = median(slopes) if slopes else 0.0
    return slope if abs(slope) < np.pi / 4 else 0.0


def _deskew(quads: Sequence[Quad]) -> list[Cell]:
    slope = skew_angle(quads)
    rotation = np.array([[np.cos(slope), np.sin(slope)], [-np.sin(slope), np.cos(slope)]])
    cells = []
    for index, quad in enumerate(quads):
        corners = quad @ rotation.T
        x = corners[:, 0]
        height = float(np.hypot(*(quad[3] - quad[0])))
        middle = float(corners[:, 1].mean())
        cells.append(Cell(index, float(x.min()), float(x.max()), middle, height))
    return cells


def _group_rows(cells: Sequence[Cell]) -> list[Row]:
    rows: list[list[Cell]] = []
    for cell in sorted(cells, key=lambda cell: cell.middle):
        if rows:
            middle = sum(other.middle for other in rows[-1]) / len(rows[-1])
            height = min(cell.height, sum(other.height for other in rows[-1]) / len(rows[-1]))
            if abs(cell.middle - middle) < SAME_ROW * height:
                rows[-1].append(cell)
                continue
        rows.append([cell])
    return [tuple(sorted(row, key=lambda cell: cell.left)) for row in rows]


def _split_columns(cells: Sequence[Cell]) -> list[list[Cell]]:
    """One block, or several if the page has two columns of prose, in reading order."""
    gutter = _find_gutter(cells)
    if gutter is None:
        return [list(cells)]
    across = [cell for cell in cells if cell.left < gutter < cell.right]
    left = [cell for cell in cells if cell.right <= gutter]
    right = [cell for cell in cells if cell.left >= gutter]
    blocks = []
    # A line across both columns ends the part above it.
    for line in sorted(across, key=lambda cell: cell.middle):
        for side in (left, right):
            blocks.append([cell for cell in side if cell.middle < line.middle])
            side[:] = [cell for cell in side if cell.middle >= line.middle]
        blocks.append([line])
    return [block for block in (*blocks, left, right) if block]


def _find_gutter(cells: Sequence[Cell]) -> float | None:
    """The x of the gap between two columns of prose. None for a single column or a table."""
    prose = [cell for cell in cells if cell.right - cell.left > PROSE_WIDTH * cell.height]
    for cell in sorted(prose, key=lambda cell: cell.right):
        x = cell.right + 1.0
        left = [other for other in cells if other.right <= x]
        right = [other for other in cells if other.left >= x]
        crossing = len(cells) - len(left) - len(right)
        sides = [sum(other in prose for other in side) for side in (left, right)]
        if (
            min(sides) >= MIN_PROSE_LINES
            and crossing <= len(cells) / 5
            and sides[0] > 0.6 * len(left)
            and sides[1] > 0.6 * len(right)
            and all(len(_group_rows(side)) > 0.8 * len(side) for side in (left, right))
        ):
            return x
    return None


def _display_width(text: str) -> int:
    """Width in columns. Ideographs, kana and Hangul take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
