"""Lines of text, or detected things, with their boxes in the form that Qwen3-VL writes them."""

import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from app.embedded.cancellation import check
from app.embedded.images.decode import Picture
from app.embedded.models import Models
from app.embedded.ocr import reader as ocr
from app.embedded.vision import object_detector as detector
from app.embedded.vision.labels import COCO, labels_in

GRID = 1000  # boxes are in thousandths of the picture's sides


def spots(
    message: str, images: Sequence[Picture], models: Models, cancelled: threading.Event
) -> str:
    """`[{"bbox_2d": [x1, y1, x2, y2], "text_content": "...", "confidence": 0.98}, ...]`, or
    `"label"` for things.

    Only things that the message names, that the detector knows and claims, are in the list.

    Raises:
        Cancelled: `cancelled` was set.
    """
    say = _lines if "text_content" in message else _things
    found = [one for image in images for one in say(message, image, models, cancelled)]
    rows = ",\n".join(json.dumps(one, ensure_ascii=False) for one in found)
    return f"[\n{rows}\n]" if rows else "[]"


def _lines(
    _message: str, image: Picture, models: Models, cancelled: threading.Event
) -> Iterator[dict[str, Any]]:
    for line in ocr.read(image.pixels, models.readers, cancelled):
        if isinstance(line, ocr.Line):
            box, sure = _grid(line.box, image), round(line.confidence, 2)
            yield {"bbox_2d": box, "text_content": line.text, "confidence": sure}


def _things(
    message: str, image: Picture, models: Models, cancelled: threading.Event
) -> Iterator[dict[str, Any]]:
    check(cancelled)
    wanted = labels_in(message, COCO)
    for thing in models.sight.look(image.pixels).things:
        if thing.label in wanted and thing.score >= detector.CLAIMED:
            yield {"bbox_2d": _grid(thing.box, image), "label": thing.label}


def _grid(box: ocr.Box, image: Picture) -> list[int]:
    sides = (image.width, image.height) * 2
    return [
        min(GRID, max(0, round(value * GRID / side)))
        for value, side in zip(box, sides, strict=True)
    ]
