"""Extract: fills a JSON Schema from the image(s)."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from app.images.picture import Picture
from app.schemas import ExtractRequest
from app.tasks.parsers.base import AnswerPart
from app.tasks.parsers.structured import JsonParser, SchemaValidator, schema_text
from app.tasks.task import EXACT_SAMPLING, CallGroup, ModelCall, Task, image_count_sentence

PROMPT = (
    "Fill in the JSON Schema below from what can be seen in the image. Copy text and numbers "
    "exactly. What is not there is null where the schema allows it; never invent a value. Write "
    "the JSON alone."
)
MAX_TOKENS = 2048


def plan_calls(
    request: ExtractRequest, pictures: Sequence[Picture], default_language: str
) -> tuple[CallGroup, ...]:
    """One model call about all pictures.

    Raises:
        InvalidParameter: `schema` is not a valid JSON Schema, or is too expensive.
    """
    schema = SchemaValidator(request.schema_, "schema")
    lines = [
        PROMPT,
        image_count_sentence(pictures),
        request.prompt,
        f"JSON Schema: {schema_text(request.schema_)}",
    ]
    everything = tuple(range(len(pictures)))
    text = "\n".join(filter(None, lines))
    parser = partial(JsonParser, schema)
    return ((ModelCall.after_system(text, everything, parser=parser, format=schema.format),),)


def extracted_data(
    request: ExtractRequest, pictures: Sequence[Picture], parts: Sequence[AnswerPart]
) -> dict[str, Any]:
    """The data, which the parser has validated."""
    parsers = [part.parser for part in parts if isinstance(part.parser, JsonParser)]
    return {"data": parsers[0].data}


TASK = Task(
    name="extract",
    summary="Fill a JSON Schema from the image(s)",
    request=ExtractRequest,
    plan_calls=plan_calls,
    sampling=EXACT_SAMPLING,
    max_tokens=lambda _request: MAX_TOKENS,
    build_fields=extracted_data,
)
