"""Chat: a conversation sent by the client, with images in any message."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from pydantic import BaseModel

from app.images.picture import Picture
from app.schemas import TaskRequest
from app.tasks.parsers.base import AnswerParser
from app.tasks.parsers.structured import JsonParser, SchemaValidator
from app.tasks.task import INSTRUCT_SAMPLING, CallGroup, ModelCall, Role, Task, Turn

MAX_TOKENS = 4096


class ChatTurn(BaseModel):
    """One message; `files` are indices into the request's images."""

    role: Role
    text: str
    files: tuple[int, ...] = ()


class ChatRequest(TaskRequest):
    """A conversation. `json_only`: the answer is JSON that matches `schema_`, if given."""

    turns: list[ChatTurn]
    top_p: float | None = None
    stop: list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    json_only: bool = False
    schema_: dict[str, Any] | None = None

    @property
    def reasoning_budget_is_soft(self) -> bool:
        """The budget comes from `reasoning_effort`, so it may shrink to fit the context."""
        return True

    def sampling(self) -> dict[str, Any]:
        given = {
            "top_p": self.top_p,
            "stop": self.stop,
            "presence_penalty": self.presence_penalty,
            "frequency_penalty": self.frequency_penalty,
        }
        return super().sampling() | {name: one for name, one in given.items() if one is not None}


def plan_calls(
    request: ChatRequest, pictures: Sequence[Picture], default_language: str
) -> tuple[CallGroup, ...]:
    """One model call with the whole conversation. A document becomes one image for each page.

    Raises:
        InvalidParameter: `response_format` has no valid JSON Schema.
    """
    positions: dict[int, list[int]] = {}
    for position, picture in enumerate(pictures):
        positions.setdefault(picture.index, []).append(position)
    turns = tuple(
        Turn(turn.role, turn.text, tuple(at for file in turn.files for at in positions[file]))
        for turn in request.turns
    )
    if not request.json_only:
        return ((ModelCall(turns, parser=AnswerParser),),)
    schema = SchemaValidator(request.schema_, "response_format")
    return ((ModelCall(turns, parser=partial(JsonParser, schema), format=schema.format),),)


TASK = Task(
    name="chat",
    summary="OpenAI's chat completions",
    request=ChatRequest,
    plan_calls=plan_calls,
    sampling=INSTRUCT_SAMPLING,
    max_tokens=lambda _request: MAX_TOKENS,
    needs_images=False,
)
