"""For schemathesis: what the OpenAPI document cannot say of a request that will be answered.

An image is one, a model is installed, a page is there, a schema is one, and all of it fits into
the context. Values that the document forbids stay as they are: they must be refused.
"""

import re
from typing import Any

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.transport.serialization import Binary

from app.schemas import PAGES_PATTERN
from tests.pictures import base64_of, encoded, scene

PNG = encoded(scene(8, 8), "PNG")
MODEL = "fake-vlm"
SCHEMA = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}
# One answer for every task: an object of that schema, a line of text and a thing with their box.
ANSWER = '{"total": 5, "text_content": "five", "bbox_2d": [100, 100, 500, 500]}'
LONGEST = 1000  # tokens that are asked for
SEVERAL = ("image", "question", "labels")  # fields that are lists
FEW = 3  # messages, and parts of one: no more images than are taken
ALLOWED: set[str] = set()  # cases that were so before they were changed here
LONG = 50  # characters
WHOLE = 100  # tokens in which the answer is whole: half of one would be no JSON


@schemathesis.hook
def before_call(context: Any, case: "schemathesis.Case[Any]", kwargs: Any) -> None:
    if case.meta and case.meta.generation.mode.is_positive:
        ALLOWED.add(case.id)
    body = case.body
    if isinstance(body, dict):
        text = case.media_type == "application/json"
        for name, value in list(body.items()):
            body[name] = _fitting(name, value, text)
        if "schema" in body or body.get("response_format"):
            for name in ("max_tokens", "max_completion_tokens"):
                if name in body:
                    body[name] = _at_least(body[name])


@schemathesis.hook
def filter_failure(
    context: Any, failure: Any, case: "schemathesis.Case[Any]", response: Any
) -> bool:
    """What the document cannot say. Fields of a head that nobody knows are passed over, as HTTP
    wants it (RFC 9110, 5.1). In a form all is text: a field that is empty says nothing, `0` says
    false as well, null is a word, a list is its items, one part each, and a list of one is the same
    as what is in it."""
    if isinstance(failure, AcceptedNegativeData) and case.id in ALLOWED:
        return False  # it judges what was changed above again, which with binary parts it cannot
    if "x-schemathesis-unknown-property" in (case.headers or {}):
        return False
    if case.media_type == "multipart/form-data" and isinstance(case.body, dict):
        if any(isinstance(one, list) for name, one in case.body.items() if name not in SEVERAL):
            return False
        switches = {str(case.body.get(name)) for name in ("stream", "think")}
        same = any(
            one is None or one == "" or (isinstance(one, list) and len(one) < 2)
            for one in case.body.values()
        )
        return not same and not switches & {"0", "1"}
    return True


def _fitting(name: str, value: Any, text: bool) -> Any:
    """The value of a field as one that works, where it is one that the document allows."""
    fits: Any = _inside(value, text)
    match name, value:
        case "image", list():
            fits = [_image(one, text) for one in value]
        case "image", str() if text:
            fits = _image(value, text)
        case (("url" | "file_data" | "image_url"), str()):
            fits = f"data:image/png;base64,{base64_of(PNG)}"
        case "model", str() if 0 < len(value) <= 32_768:
            fits = MODEL
        case "pages", str() if len(value) <= 1000 and re.search(PAGES_PATTERN, value):
            fits = "1"
        case (("max_tokens" | "max_completion_tokens" | "max_reasoning_tokens"), int() | float()):
            fits = min(value, LONGEST) if value <= 1_000_000 else value
        case "schema", dict():
            fits = SCHEMA
        case (("prompt" | "question" | "text" | "content"), str()):
            fits = _short(value)
        case "question", list():
            fits = [_short(one) for one in value]
        case (("messages" | "content"), list()):
            fits = [_inside(one, text) for one in value[:FEW]]
    return fits


def _inside(value: Any, text: bool) -> Any:
    if isinstance(value, dict):
        return {name: _fitting(name, one, text) for name, one in value.items()}
    return value


def _image(value: Any, text: bool) -> Any:
    if text:
        return base64_of(PNG) if isinstance(value, str) else value
    return Binary(PNG) if isinstance(value, bytes | str) else value  # is text to its checks


def _short(value: Any) -> Any:
    """A text that leaves room in the context, where the document allows it at all."""
    return value[:LONG] if isinstance(value, str) and len(value) <= 32_768 else value


def _at_least(value: Any) -> Any:
    return max(value, WHOLE) if isinstance(value, int | float) and value > 0 else value
