"""Detect: finds objects and returns their boxes in pixels of the original image."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from app.images.picture import Picture
from app.schemas import DetectRequest
from app.tasks.parsers.base import AnswerPart
from app.tasks.parsers.boxes import ObjectParser
from app.tasks.task import EXACT_SAMPLING, CallGroup, ModelCall, Task

# The prompt of Qwen3-VL's cookbook (2d_grounding). Its boxes are on a grid of 0 to 1000.
PROMPT = (
    "Locate every instance that belongs to the following categories: {labels}. Report their boxes "
    'in JSON format only: [{{"bbox_2d": [x1, y1, x2, y2], "label": "..."}}, ...], each label as it '
    "is written here. If there is none, answer with []."
)
MAX_TOKENS = 2048


def plan_calls(
    request: DetectRequest, pictures: Sequence[Picture], default_language: str
) -> tuple[CallGroup, ...]:
    """One model call for each picture, so that each box belongs to one picture."""
    strict_format = {
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
    text = "\n".join(filter(None, (PROMPT.format(labels=labels), request.prompt)))
    return tuple(
        (
            ModelCall.after_system(
                text,
                (position,),
                parser=partial(ObjectParser, picture, request.labels),
                strict_format=strict_format,
            ),
        )
        for position, picture in enumerate(pictures)
    )


def detected_objects(
    request: DetectRequest, pictures: Sequence[Picture], parts: Sequence[AnswerPart]
) -> dict[str, Any]:
    """The objects of all pictures, in order."""
    parsers = [part.parser for part in parts if isinstance(part.parser, ObjectParser)]
    return {"objects": [thing for parser in parsers for thing in parser.objects]}


TASK = Task(
    name="detect",
    summary="Find objects; boxes are in pixels of the original image",
    request=DetectRequest,
    plan_calls=plan_calls,
    sampling=EXACT_SAMPLING,
    max_tokens=lambda _request: MAX_TOKENS,
    build_fields=detected_objects,
)
