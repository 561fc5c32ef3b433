"""Reading order, from boxes without text."""

import numpy as np
import pytest

from app.embedded.ocr.layout import arrange_rows
from app.embedded.ocr.ppocr import Quad


def box(left: float, top: float, width: float, height: float = 30) -> Quad:
    right, bottom = left + width, top + height
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=float)


def order(quads: list[Quad]) -> list[list[int]]:
    return [[cell.index for cell in row] for row in arrange_rows(quads).rows]


def test_nothing() -> None:
    assert arrange_rows([]).rows == ()


def test_rows_from_the_top_and_cells_from_the_left() -> None:
    quads = [box(300, 102, 80), box(10, 100, 80), box(10, 20, 80), box(150, 96, 80)]
    assert order(quads) == [[2], [1, 3, 0]]


def test_a_skewed_table_keeps_its_rows() -> None:
    """Four degrees over 800 pixels are the height of two rows."""
    slope = np.radians(4)
    turn = np.array([[np.cos(slope), np.sin(slope)], [-np.sin(slope), np.cos(slope)]])
    straight = [box(x, y, 90) for y in (0, 36, 72) for x in (0, 400, 800)]
    assert order([quad @ turn for quad in straight]) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_columns_of_prose_one_after_the_other() -> None:
    """A title above both, and a line below both."""
    title, left = box(10, 0, 900), [box(10, 60 + 40 * n, 420) for n in range(5)]
    right = [box(480, 60 + 40 * n, 420) for n in range(5)]
    foot = box(10, 300, 900)
    quads = [title, foot, *(q for pair in zip(left, right, strict=True) for q in pair)]
    assert order(quads) == [[0], [2], [4], [6], [8], [10], [3], [5], [7], [9], [11], [1]]


def test_a_table_is_no_prose() -> None:
    quads = [box(x, 40 * n, 150) for n in range(6) for x in (10, 400, 800)]
    assert order(quads) == [[3 * n, 3 * n + 1, 3 * n + 2] for n in range(6)]


def test_a_table_of_long_cells_is_no_prose() -> None:
    quads = [box(x, 40 * n, 280) for n in range(6) for x in (10, 310, 610)]
    assert order(quads) == [[3 * n, 3 * n + 1, 3 * n + 2] for n in range(6)]


@pytest.mark.parametrize(
    ("texts", "line"),
    [
        (["Tea", "2", "9,000"], "Tea       2         9,000"),
        (["Tea", "", "9,000"], "Tea                 9,000"),
        (["", "", ""], ""),
        (["", "2", "9,000"], "          2         9,000"),
        (["녹차", "2", "9,000"], "녹차      2         9,000"),
        (["a name far too long", "2", "9,000"], "a name far too long  2  9,000"),
    ],
)
def test_columns_stand_on_a_grid(texts: list[str], line: str) -> None:
    """Ten characters of 12.6 pixels (0.42 of the height) from column to column."""
    layout = arrange_rows([box(0, 0, 60), box(126, 0, 20), box(252, 0, 80)])
    assert layout.render_row(layout.rows[0], texts) == line


def test_near_boxes_are_words_of_one_line() -> None:
    layout = arrange_rows([box(0, 0, 100), box(105, 0, 100)])
    assert layout.render_row(layout.rows[0], ["one", "line"]) == "one line"


def test_a_centred_line_is_not_moved_in() -> None:
    layout = arrange_rows([box(200, 0, 100), box(0, 50, 400)])
    assert layout.render_row(layout.rows[0], ["Title"]) == "Title"
