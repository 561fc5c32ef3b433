"""The text of a page region between the lines of the text layer."""

import pytest

from app.tasks.between import Between


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
    reader = Between("above", "below")
    assert "".join([*map(reader.feed, pieces), reader.end()]) == text


def test_nothing_around_adds_nothing() -> None:
    reader = Between("", "")
    assert reader.feed("Kettle") + reader.end() == "Kettle"
