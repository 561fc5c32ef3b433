"""Boxes of text lines and objects, as Qwen3-VL writes them."""

import json
import threading

from app.embedded.answers.grounding import grounded_json
from app.embedded.images.decode import decode_image
from app.embedded.models import Models
from tests.embedded.answers.ask import ask_engine
from tests.embedded.image_facts import PHOTOS
from tests.embedded.pictures import truth


def test_boxes_of_lines(models: Models) -> None:
    """Coordinates are in thousandths of the sides."""
    ask = '"bbox_2d": [x1, y1, x2, y2], "text_content": "..."'
    lines = json.loads(ask_engine(models, ask, "table.png"))
    assert [" ".join(line["text_content"].split()) for line in lines] == truth("table.txt")
    boxes = [line["bbox_2d"] for line in lines]
    assert all(0 <= left < right <= 1000 and top < bottom for left, top, right, bottom in boxes)
    assert [box[1] for box in boxes] == sorted(box[1] for box in boxes)


def test_boxes_of_objects(models: Models) -> None:
    """Only labels that the message names and the detector finds with confidence."""
    image = decode_image((PHOTOS / "person.jpg").read_bytes())
    message = 'Locate "person", "dog". [{"bbox_2d": [x1, y1, x2, y2], "label": "..."}]'
    (found,) = json.loads(grounded_json(message, [image], models, threading.Event()))
    assert found["label"] == "person"
    left, top, right, bottom = found["bbox_2d"]
    assert 0 <= left < 200
    assert 0 <= top < 200
    assert 600 < right <= 1000
    assert 850 < bottom <= 1000
    message = message.replace("person", "cat")
    assert grounded_json(message, [image], models, threading.Event()) == "[]"
