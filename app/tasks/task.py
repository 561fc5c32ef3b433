"""The definition of a task: its request, its model calls and its sampling options."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from app.images.picture import Picture
from app.schemas import TaskRequest
from app.tasks.joining import Joined
from app.tasks.reader import Part, Reader

Role = Literal["system", "user", "assistant"]

# Identical in all requests. With the images right after it, it is the prefix that the daemon
# caches, so that a second question about an image is cheap.
SYSTEM = (
    "You are a careful visual assistant. You say only what can be seen in the image. "
    "You never invent text, names or numbers; what you cannot see or read, you say so."
)

# Qwen's recommended sampling without and with thinking (Qwen3-VL model card).
INSTRUCT = {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "presence_penalty": 1.5}
THINKING = {"temperature": 1.0, "top_p": 0.95, "top_k": 20, "presence_penalty": 0.0}
# For tasks with one correct answer.
EXACT = {"temperature": 0.0, "top_p": 1.0, "top_k": 20, "presence_penalty": 0.0}


@dataclass(frozen=True, slots=True)
class Turn:
    """One message to the model. `pictures` are positions of the request's pictures."""

    role: Role
    text: str
    pictures: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """One model call. The last message is the user's.

    `question`: index of the question it asks. `known`: the answer, if no call is needed. `reader`:
    creates the reader of the answer. `format`: a JSON Schema or `json` that the engine enforces.
    `shape`: a schema that is used only for engines that enforce it from the first token, and for a
    correction. `think`: overrides the request; None keeps it. `region`: the call is about the
    region that the picture's text layer lacks, not about the whole picture.
    """

    turns: tuple[Turn, ...]
    question: int | None = None
    known: str | None = None
    reader: Callable[[], Reader] = Reader
    format: Mapping[str, Any] | str | None = None
    shape: Mapping[str, Any] | None = None
    think: bool | None = None
    region: bool = False

    @classmethod
    def of(cls, text: str, pictures: tuple[int, ...], **how: Any) -> "Ask":
        """A system message and one user message with `pictures`."""
        return cls((Turn("system", SYSTEM), Turn("user", text, pictures)), **how)

    def corrected(self, answer: str, fault: str) -> "Ask":
        """A second call with the answer and its errors. A model that can think does so: newer
        daemons enforce `format` only then (`app.tasks.structured`)."""
        turns = (*self.turns, Turn("assistant", answer), Turn("user", fault))
        return replace(self, turns=turns, think=True, format=self.held)

    def unheld(self) -> "Ask":
        """The same call for an engine that cannot enforce `format`: the prompt has the schema."""
        last = self.turns[-1]
        schema = json.dumps(self.held, ensure_ascii=False)
        text = last.text if schema in last.text else f"{last.text}\nJSON Schema: {schema}"
        turns = (*self.turns[:-1], replace(last, text=text))
        return replace(self, turns=turns, format=None, shape=None)

    @property
    def held(self) -> Mapping[str, Any] | str | None:
        """The format that the engine can enforce. (An empty schema counts.)"""
        return self.shape if self.format is None else self.format

    @property
    def pictures(self) -> tuple[int, ...]:
        return tuple(position for turn in self.turns for position in turn.pictures)

    @property
    def text(self) -> str:
        """The text of the last message."""
        return self.turns[-1].text


Group = tuple[Ask, ...]


@dataclass(frozen=True)
class Task:
    """The definition of a task.

    `asks(request, pictures, default_language)` returns groups of model calls. The calls of a group
    run in sequence on the same pictures; groups may run concurrently.
    `read(request, pictures, parts)` returns the task's own response fields; `parts` has one part
    for each call. `join(request, pictures, parts)` returns the text, or None if it is simply the
    text of all parts in order.
    """

    name: str
    summary: str
    request: type[TaskRequest]
    asks: Callable[[Any, Sequence[Picture], str], tuple[Group, ...]]
    sampling: Mapping[str, float]
    max_tokens: Callable[[Any], int]
    read: Callable[[Any, Sequence[Picture], Sequence[Part]], dict[str, Any]] = (
        lambda _request, _pictures, _parts: {}
    )
    join: Callable[[Any, Sequence[Picture], Sequence[Part]], Joined | None] = (
        lambda _request, _pictures, _parts: None
    )
    needs_images: bool = True


def options(task: Task, request: TaskRequest, thinks: bool) -> dict[str, Any]:
    """Ollama's options: those of the task, or of a thinking model, overridden by the request."""
    return {**(THINKING if request.think and thinks else task.sampling), **request.sampling()}


def one_turn(lines: Sequence[str], pictures: Sequence[Picture]) -> tuple[Group, ...]:
    """A single model call about all pictures."""
    return ((Ask.of("\n".join(filter(None, lines)), tuple(range(len(pictures)))),),)


def several(pictures: Sequence[Picture]) -> str:
    """The sentence of the prompt that counts several pictures; empty for one."""
    if len(pictures) < 2:
        return ""
    kind = "images" if pictures[0].page is None else "pages"
    return f"There are {len(pictures)} {kind}, in order."
