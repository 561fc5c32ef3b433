"""What makes a task: the request it takes, what it asks, and how the model is set for it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from app.images.picture import Picture
from app.schemas import TaskRequest
from app.tasks.joining import Joined
from app.tasks.reader import Part, Reader

Role = Literal["system", "user", "assistant"]

# The same in every request of every task: with the images right after it, it is the prefix that
# the daemon keeps, so a second question on an image is cheap.
SYSTEM = (
    "You are a careful visual assistant. You say only what can be seen in the image. "
    "You never invent text, names or numbers; what you cannot see or read, you say so."
)

# Qwen's own sampling for answering without thoughts, and with them (Qwen3-VL model card).
INSTRUCT = {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "presence_penalty": 1.5}
THINKING = {"temperature": 1.0, "top_p": 0.95, "top_k": 20, "presence_penalty": 0.0}
# For what has one right answer.
EXACT = {"temperature": 0.0, "top_p": 1.0, "top_k": 20, "presence_penalty": 0.0}


@dataclass(frozen=True, slots=True)
class Turn:
    """One message to the model, with some of the request's pictures (their positions)."""

    role: Role
    text: str
    pictures: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked at once, the last turn being the user's.

    `question` is the index of the question that it puts. `known` is the answer where nobody need
    be asked for it; `reader` makes what reads the answer while it comes. `format` is what the
    engine is to hold the answer to: a JSON Schema or `json`; `shape` is one for engines that are
    known to hold an answer from its first token, and for a second try. `think` is for this alone;
    None: as the request says. `region`: it is about the region of its picture that the text layer
    lacks, not about the whole.
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
        """One turn of the user's after the system's."""
        return cls((Turn("system", SYSTEM), Turn("user", text, pictures)), **how)

    def corrected(self, answer: str, fault: str) -> "Ask":
        """The same once more, with what was wrong about the answer. A model that can reason does:
        only then is it held to `format` by newer daemons (`app.tasks.structured`)."""
        turns = (*self.turns, Turn("assistant", answer), Turn("user", fault))
        return replace(self, turns=turns, think=True, format=self.held)

    def unheld(self) -> "Ask":
        """The same for an engine that cannot be held to `format`: it is told what to write."""
        last = self.turns[-1]
        schema = json.dumps(self.held, ensure_ascii=False)
        text = last.text if schema in last.text else f"{last.text}\nJSON Schema: {schema}"
        turns = (*self.turns[:-1], replace(last, text=text))
        return replace(self, turns=turns, format=None, shape=None)

    @property
    def held(self) -> Mapping[str, Any] | str | None:
        """What it can be held to. (An empty schema is one.)"""
        return self.shape if self.format is None else self.format

    @property
    def pictures(self) -> tuple[int, ...]:
        return tuple(position for turn in self.turns for position in turn.pictures)

    @property
    def text(self) -> str:
        """What the user says last."""
        return self.turns[-1].text


Group = tuple[Ask, ...]


@dataclass(frozen=True)
class Task:
    """What a task is.

    `asks` takes the request, its pictures and the default language. It gives groups of turns:
    those of a group run one after another on the same pictures, groups may run at once.
    `read` takes the request, its pictures and the parts of the answer, one a turn, and gives its
    own fields. `join` takes the same where the text is more than its parts one after another.
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
    """Ollama's options: the task's own, then the model's where it thinks, then the request's."""
    return {**(THINKING if request.think and thinks else task.sampling), **request.sampling()}


def one_turn(lines: Sequence[str], pictures: Sequence[Picture]) -> tuple[Group, ...]:
    """A single turn about all pictures."""
    return ((Ask.of("\n".join(filter(None, lines)), tuple(range(len(pictures)))),),)


def several(pictures: Sequence[Picture]) -> str:
    """What the model is told where there is more than one picture; else nothing."""
    if len(pictures) < 2:
        return ""
    kind = "images" if pictures[0].page is None else "pages"
    return f"There are {len(pictures)} {kind}, in order."
