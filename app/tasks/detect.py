"""Detect: finds objects and returns their boxes in pixels of the original image."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from app.images.picture import Picture
from app.schemas import DetectRequest
from app.tasks.boxes import ObjectReader
from app.tasks.reader import Part
from app.tasks.task import EXACT, Ask, Group, Task

# The prompt of Qwen3-VL's cookbook (2d_grounding). Its boxes are on a grid of 0 to 1000.
LOCATE = (
    "Locate every instance that belongs to the following categories: {labels}. Report their boxes "
    'in JSON format only: [{{"bbox_2d": [x1, y1, x2, y2], "label": "..."}}, ...], each label as it '
    "is written here. If there is none, answer with []."
)
MAX_TOKENS = 2048


def asks(
    request: DetectRequest, pictures: Sequence[Picture], default_language: str
) -> tuple[Group, ...]:
    """One model call for each picture, so that each box belongs to one picture."""
    shape = {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "bbox_2d": {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 0, "maximum": 1000},
                    "minItems": 4,
                    "maxItems": 4,
                },
                "label": {"type": "string", "enum": request.labels},
            },
            "required": ["bbox_2d", "label"],
            "additionalProperties": False,
        },
    }
    labels = ", ".join(json.dumps(label, ensure_ascii=False) for label in request.labels)
    text = "\n".join(filter(None, (LOCATE.format(labels=labels), request.prompt)))
    return tuple(
        (
            Ask.of(
                text,
                (position,),
                reader=partial(ObjectReader, picture, request.labels),
                shape=shape,
            ),
        )
        for position, picture in enumerate(pictures)
    )


def objects(
    request: DetectRequest, pictures: Sequence[Picture], parts: Sequence[Part]
) -> dict[str, Any]:
    """The objects of all pictures, in order."""
    readers = [part.reader for part in parts if isinstance(part.reader, ObjectReader)]
    return {"objects": [thing for reader in readers for thing in reader.objects]}


TASK = Task(
    name="detect",
    summary="Find objects; boxes are in pixels of the original image",
    request=DetectRequest,
    asks=asks,
    sampling=EXACT,
    max_tokens=lambda _request: MAX_TOKENS,
    read=objects,
)
