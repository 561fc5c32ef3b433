"""What joining pages may cost: text layers of a PDF are there at once, however long they are."""

import pytest

from app.errors import InvalidParameter
from app.images.picture import Picture
from app.schemas import OcrRequest, TextFormat
from app.tasks.documents.joining import PageText, join_pages
from app.tasks.ocr import MAX_LAYER_CHARACTERS, plan_calls
from tests.stalls.cost import MOST_S, cost_s

CELLS = "|" + "|".join(str(n) for n in range(20_000)) + "|"

COSTLY: dict[str, tuple[str, TextFormat]] = {
    "a line of digits": ("1" * 200_000, TextFormat.TEXT),
    "a line of numbers": ("1 " * 100_000, TextFormat.TEXT),
    "short lines of numbers": ("\n".join(["1 " * 140] * 5), TextFormat.TEXT),
    "line ends": ("x" + "\n" * 400_000 + "y", TextFormat.TEXT),
    "a line of spaces": (" " * 400_000 + "x", TextFormat.TEXT),
    "columns": (f"{CELLS}\n{'|-' * 20_000}|\n{CELLS}\n{CELLS}", TextFormat.MARKDOWN),
    "a cell of dots": (f"|a|\n|-|\n|1{'.' * 200_000}x|", TextFormat.MARKDOWN),
    "a cell of dashes": (f"|a|\n|{'-' * 200_000}x|", TextFormat.MARKDOWN),
    "rows": ("|a|\n|-|\n" + "|1|\n" * 20_000 + "|2|", TextFormat.MARKDOWN),
    "rows in HTML": (f"<table>{'<tr><td>1</td></tr>' * 5000}</table>", TextFormat.HTML),
    "blocks": ("<hr>" * 30_000, TextFormat.HTML),
    "marks": ("<p>" + "&" * 290, TextFormat.HTML),
    "a character of many digits": (f"<p>&#{'1' * 5000};</p>", TextFormat.HTML),
}


@pytest.mark.parametrize(("text", "form"), COSTLY.values(), ids=COSTLY)
def test_it_costs_little(text: str, form: TextFormat) -> None:
    pages = [PageText(number, text) for number in range(1, 6)]
    assert cost_s(lambda: join_pages(pages, form)) < MOST_S


def test_fifty_pages_of_rows() -> None:
    rows = "\n".join(["|a|b|", "|-|-|", *["|1|2|"] * 400])
    pages = [PageText(number, rows) for number in range(1, 51)]
    assert cost_s(lambda: join_pages(pages, TextFormat.MARKDOWN)) < MOST_S
    assert join_pages(pages, TextFormat.MARKDOWN).text.count("|1|2|") == 50 * 400


def test_more_text_than_is_taken() -> None:
    picture = Picture(b"", 0, 1, 100, 100, text="x" * (MAX_LAYER_CHARACTERS // 2 + 1))
    with pytest.raises(InvalidParameter, match="more than 4000000 characters"):
        plan_calls(OcrRequest(), [picture, picture], "en")
