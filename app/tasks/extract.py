"""Extract: fills a JSON Schema from the image(s)."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from app.images.picture import Picture
from app.schemas import ExtractRequest
from app.tasks.reader import Part
from app.tasks.structured import JsonReader, Schema, told
from app.tasks.task import EXACT, Ask, Group, Task, several

FILL = (
    "Fill in the JSON Schema below from what can be seen in the image. Copy text and numbers "
    "exactly. What is not there is null where the schema allows it; never invent a value. Write "
    "the JSON alone."
)
MAX_TOKENS = 2048


def asks(
    request: ExtractRequest, pictures: Sequence[Picture], default_language: str
) -> tuple[Group, ...]:
    """One model call about all pictures.

    Raises:
        InvalidParameter: `schema` is not a valid JSON Schema, or is too expensive.
    """
    schema = Schema(request.schema_, "schema")
    lines = [FILL, several(pictures), request.prompt, f"JSON Schema: {told(request.schema_)}"]
    everything = tuple(range(len(pictures)))
    text = "\n".join(filter(None, lines))
    reader = partial(JsonReader, schema)
    return ((Ask.of(text, everything, reader=reader, format=schema.format),),)


def data(
    request: ExtractRequest, pictures: Sequence[Picture], parts: Sequence[Part]
) -> dict[str, Any]:
    """The data, which the reader has validated."""
    readers = [part.reader for part in parts if isinstance(part.reader, JsonReader)]
    return {"data": readers[0].data}


TASK = Task(
    name="extract",
    summary="Fill a JSON Schema from the image(s)",
    request=ExtractRequest,
    asks=asks,
    sampling=EXACT,
    max_tokens=lambda _request: MAX_TOKENS,
    read=data,
)
