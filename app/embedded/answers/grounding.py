"""Boxes of text lines or detected objects in Qwen3-VL's grounding format."""

import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from app.embedded.cancellation import raise_if_cancelled
from app.embedded.images.decode import Picture
from app.embedded.models import Models
from app.embedded.ocr import reader
from app.embedded.vision.labels import COCO_LABELS, find_labels

GRID_SIZE = 1000  # coordinates are in thousandths of the image's sides


def grounded_json(
    message: str, images: Sequence[Picture], models: Models, cancelled: threading.Event
) -> str:
    """`[{"bbox_2d": [x1, y1, x2, y2], "text_content": "...", "confidence": 0.98}, ...]`, or
    `"label"` instead of the last two for objects.

    Objects are those that the message names and the detector finds with confidence.

    Raises:
        Cancelled: `cancelled` was set.
    """
    boxes_of = _lines if "text_content" in message else _objects
    found = [one for image in images for one in boxes_of(message, image, models, cancelled)]
    rows = ",\n".join(json.dumps(one, ensure_ascii=False) for one in found)
    return f"[\n{rows}\n]" if rows else "[]"


def _lines(
    _message: str, image: Picture, models: Models, cancelled: threading.Event
) -> Iterator[dict[str, Any]]:
    for line in reader.read_image(image.pixels, models.ocr, cancelled):
        if isinstance(line, reader.TextLine):
            box, confidence = _to_grid(line.box, image), round(line.confidence, 2)
            yield {"bbox_2d": box, "text_content": line.text, "confidence": confidence}


def _objects(
    message: str, image: Picture, models: Models, cancelled: threading.Event
) -> Iterator[dict[str, Any]]:
    raise_if_cancelled(cancelled)
    wanted = find_labels(message, COCO_LABELS)
    for detection in models.vision.predict(image.pixels).detections:
        if detection.label in wanted and detection.is_confident:
            yield {"bbox_2d": _to_grid(detection.box, image), "label": detection.label}


def _to_grid(box: reader.Box, image: Picture) -> list[int]:
    sides = (image.width, image.height) * 2
    return [
        min(GRID_SIZE, max(0, round(value * GRID_SIZE / side)))
        for value, side in zip(box, sides, strict=True)
    ]
