"""The text of a page region between the lines of the text layer."""

import pytest

from app.tasks.parsers.page_region import PageRegionParser


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["Kettle ", "12.50\n", "Cup 48.00"], "above\nKettle 12.50\nCup 48.00\nbelow"),
        (["```text\n", "Kettle\n", "```"], "above\nKettle\nbelow"),
        (["\n", "  Kettle"], "above\nKettle\nbelow"),
        ([], "above\nbelow"),
        (["\n"], "above\nbelow"),
    ],
)
def test_the_answer_stands_between(pieces: list[str], text: str) -> None:
    parser = PageRegionParser("above", "below")
    assert "".join([*map(parser.feed, pieces), parser.finish()]) == text


def test_nothing_around_adds_nothing() -> None:
    parser = PageRegionParser("", "")
    assert parser.feed("Kettle") + parser.finish() == "Kettle"
