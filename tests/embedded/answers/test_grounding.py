"""Boxes of text lines, as Qwen3-VL writes them."""

import json

from app.embedded.models import Models
from tests.embedded.answers.ask import ask_engine
from tests.embedded.pictures import truth


def test_boxes_of_lines(models: Models) -> None:
    """As Qwen3-VL writes them, in thousandths."""
    ask = '"bbox_2d": [x1, y1, x2, y2], "text_content": "..."'
    lines = json.loads(ask_engine(models, ask, "table.png"))
    assert [" ".join(line["text_content"].split()) for line in lines] == truth("table.txt")
    boxes = [line["bbox_2d"] for line in lines]
    assert all(0 <= left < right <= 1000 and top < bottom for left, top, right, bottom in boxes)
    assert [box[1] for box in boxes] == sorted(box[1] for box in boxes)
