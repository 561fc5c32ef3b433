"""The table size and the text coverage of drawn boxes."""

import numpy as np

from app.embedded.ocr.layout import arrange_rows
from app.embedded.ocr.page import Page
from app.embedded.ocr.ppocr import Quad
from app.embedded.vision.image_type import table_size, text_coverage


def box(left: float, top: float, width: float, height: float = 30) -> Quad:
    right, bottom = left + width, top + height
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=float)


def test_table_size() -> None:
    title = box(10, 0, 300)
    cells = [box(x, 60 + 40 * row, 80) for row in range(4) for x in (10, 300, 600)]
    assert table_size(arrange_rows([title, *cells])) == (4, 3)


def test_lines_are_not_a_table() -> None:
    assert table_size(arrange_rows([box(10, 40 * row, 300) for row in range(6)])) is None


def test_text_coverage() -> None:
    image = np.zeros((100, 200, 3), dtype=np.uint8)
    page = Page(image, (box(0, 0, 100, 20), box(0, 50, 50, 40)), 0, has_text=True)
    assert text_coverage(page) == 4000 / 20_000
