"""Lines with boxes are read from a model's output."""

import json
import random

import pytest

from app.images.picture import Picture
from app.tasks.parsers.base import AnswerPart
from app.tasks.parsers.boxes import TextLineParser
from app.tasks.parsers.grounding import ObjectScanner, parse_box

PICTURE = Picture(b"", 2, 3, 4000, 3000)


def read(text: str, pieces: int = 1) -> AnswerPart:
    part = AnswerPart(TextLineParser(PICTURE))
    step = max(1, len(text) // pieces)
    for at in range(0, len(text), step):
        part.feed(text[at : at + step])
    part.finish()
    return part


GOOD = json.dumps(
    [
        {"bbox_2d": [100, 50, 500, 100], "text_content": '합계 "25,440원" {a}'},
        {"bbox_2d": [0, 0, 1000, 1000], "text": "all"},
    ],
    ensure_ascii=False,
)


@pytest.mark.parametrize(
    "around", ["{}", "```json\n{}\n```", "Here are the lines:\n{} That is all."]
)
@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_boxes_are_in_pixels_of_the_original(around: str, pieces: int) -> None:
    part = read(around.replace("{}", GOOD), pieces)
    parser = part.parser
    assert isinstance(parser, TextLineParser)
    assert part.text == '합계 "25,440원" {a}\nall'
    first, second = parser.lines
    assert first.box == (400, 150, 2000, 300)
    assert second.box == (0, 0, 4000, 3000)
    assert (first.image, first.page) == (2, 3)
    assert parser.warnings() == []


def test_a_line_comes_out_when_it_is_there() -> None:
    part = AnswerPart(TextLineParser(PICTURE))
    assert part.feed('[{"bbox_2d": [0, 0, 10, 10], "text_content": "a') == ""
    assert part.feed('b"}, {"bbox_2d"') == "ab"
    assert part.feed(': [0, 10, 10, 20], "text_content": "c"}]') == "\nc"


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([-20, 10, 1200, 50], (0, 30, 4000, 150)),
        ([1, 2, 3], None),
        ([500, 10, 100, 50], None),
        ([0, 0, 0, 0], None),
        (["a", 0, 1, 2], None),
        ([float("nan"), 0, 1, 2], None),
        (None, None),
        ([True, False, 3, 4], (4, 0, 12, 12)),
    ],
)
def test_boxes_that_cannot_be(box: object, expected: object) -> None:
    assert parse_box({"bbox_2d": box}, 4000, 3000) == expected


def test_what_is_no_json_is_given_as_it_came() -> None:
    part = read("just words\nin lines")
    assert part.text == "just words\nin lines"
    assert "no lines with boxes" in part.parser.warnings()[0]


def test_what_was_lost_is_told() -> None:
    part = read('[{"text": "a"}, {"text": b}, {"bbox_2d": [0, 0, 9, 9], "text": "c"}')
    assert part.text == "a\nc"
    assert "1 line(s) had no usable box" in part.parser.warnings()[0]
    assert "1 object(s) could not be parsed" in part.parser.warnings()[1]


def test_any_text_is_read_without_harm() -> None:
    rng = random.Random(6)
    for _ in range(2000):
        text = "".join(rng.choices('{}[]",:\\ab1 \n한', k=rng.randint(0, 60)))
        scanner = ObjectScanner()
        found = [one for char in text for one in scanner.feed(char)]
        assert all(isinstance(one, dict) for one in found)
