"""The definition of a task: its request, its model calls and its sampling options."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from app.images.picture import Picture
from app.schemas import TaskRequest
from app.tasks.documents.joining import JoinedDocument
from app.tasks.parsers.base import AnswerParser, AnswerPart

Role = Literal["system", "user", "assistant"]

# Identical in all requests. With the images right after it, it is the prefix that the daemon
# caches, so that a second question about an image is cheap.
SYSTEM_PROMPT = (
    "You are a careful visual assistant. You say only what can be seen in the image. "
    "You never invent text, names or numbers; what you cannot see or read, you say so."
)

# Qwen's recommended sampling without and with thinking (Qwen3-VL model card).
INSTRUCT_SAMPLING = {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "presence_penalty": 1.5}
THINKING_SAMPLING = {"temperature": 1.0, "top_p": 0.95, "top_k": 20, "presence_penalty": 0.0}
# For tasks with one correct answer.
EXACT_SAMPLING = {"temperature": 0.0, "top_p": 1.0, "top_k": 20, "presence_penalty": 0.0}


@dataclass(frozen=True, slots=True)
class Turn:
    """One message to the model. `pictures` are positions of the request's pictures."""

    role: Role
    text: str
    pictures: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One model call. The last message is the user's.

    question: index of the question it asks.
    known_answer: the answer, if no call is needed.
    parser: creates the parser of the answer.
    format: a JSON Schema or `json` that the engine enforces.
    strict_format: a schema that is used only for engines that enforce it from the first token, and
        for a correction.
    think: overrides the request; None keeps it.
    region: the call is about the region that the picture's text layer lacks, not about the whole
        picture.
    """

    turns: tuple[Turn, ...]
    question: int | None = None
    known_answer: str | None = None
    parser: Callable[[], AnswerParser] = AnswerParser
    format: Mapping[str, Any] | str | None = None
    strict_format: Mapping[str, Any] | None = None
    think: bool | None = None
    region: bool = False

    @classmethod
    def after_system(cls, text: str, pictures: tuple[int, ...], **how: Any) -> "ModelCall":
        """A system message and one user message with `pictures`."""
        return cls((Turn("system", SYSTEM_PROMPT), Turn("user", text, pictures)), **how)

    def with_correction(self, answer: str, fault: str) -> "ModelCall":
        """A second call with the answer and its errors. A model that can think does so: newer
        daemons enforce `format` only then (`app.tasks.parsers.structured`)."""
        turns = (*self.turns, Turn("assistant", answer), Turn("user", fault))
        return replace(self, turns=turns, think=True, format=self.enforceable_format)

    def without_format(self) -> "ModelCall":
        """The same call for an engine that cannot enforce `format`: the prompt has the schema."""
        last = self.turns[-1]
        schema = json.dumps(self.enforceable_format, ensure_ascii=False)
        text = last.text if schema in last.text else f"{last.text}\nJSON Schema: {schema}"
        turns = (*self.turns[:-1], replace(last, text=text))
        return replace(self, turns=turns, format=None, strict_format=None)

    @property
    def enforceable_format(self) -> Mapping[str, Any] | str | None:
        """The format that the engine can enforce. (An empty schema counts.)"""
        return self.strict_format if self.format is None else self.format

    @property
    def pictures(self) -> tuple[int, ...]:
        return tuple(position for turn in self.turns for position in turn.pictures)

    @property
    def text(self) -> str:
        """The text of the last message."""
        return self.turns[-1].text


CallGroup = tuple[ModelCall, ...]


@dataclass(frozen=True)
class Task:
    """The definition of a task.

    request: the model of its request fields.
    plan_calls: `(request, pictures, default_language)` to groups of model calls. The calls of a
        group run in sequence on the same pictures; groups may run concurrently.
    max_tokens: request to the default limit of the answer.
    build_fields: `(request, pictures, parts)` to the task's own response fields; `parts` has one
        part for each call.
    join_pages: `(request, pictures, parts)` to the text; None if that is simply the text of all
        parts in order.
    """

    name: str
    summary: str
    request: type[TaskRequest]
    plan_calls: Callable[[Any, Sequence[Picture], str], tuple[CallGroup, ...]]
    sampling: Mapping[str, float]
    max_tokens: Callable[[Any], int]
    build_fields: Callable[[Any, Sequence[Picture], Sequence[AnswerPart]], dict[str, Any]] = (
        lambda _request, _pictures, _parts: {}
    )
    join_pages: Callable[[Any, Sequence[Picture], Sequence[AnswerPart]], JoinedDocument | None] = (
        lambda _request, _pictures, _parts: None
    )
    needs_images: bool = True


def sampling_options(task: Task, request: TaskRequest, thinks: bool) -> dict[str, Any]:
    """Ollama's options: those of the task, or of a thinking model, overridden by the request."""
    return {
        **(THINKING_SAMPLING if request.think and thinks else task.sampling),
        **request.sampling(),
    }


def single_call(lines: Sequence[str], pictures: Sequence[Picture]) -> tuple[CallGroup, ...]:
    """A single model call about all pictures."""
    return ((ModelCall.after_system("\n".join(filter(None, lines)), tuple(range(len(pictures)))),),)


def image_count_sentence(pictures: Sequence[Picture]) -> str:
    """The sentence of the prompt that counts several pictures; empty for one."""
    if len(pictures) < 2:
        return ""
    kind = "images" if pictures[0].page is None else "pages"
    return f"There are {len(pictures)} {kind}, in order."
