"""The events of one generation. They know no task, page or question: `app.tasks.asking` adds those.

A position in the queue is `app.engine.gate.Place`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """A piece of the model's thoughts."""

    text: str


@dataclass(frozen=True, slots=True)
class Cut:
    """The last `characters` of the answer were a loop. A stream has sent them already; the text of
    the whole answer is without them, and a warning says so."""

    characters: int


@dataclass(frozen=True, slots=True)
class Generated:
    """The end of one generation. Counts are the engine's own tokens, times in milliseconds."""

    finish_reason: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    load_ms: float = 0.0
    prompt_ms: float = 0.0
    generate_ms: float = 0.0
    asked_tokens: int = 0  # the engine's count of the prompt as first asked; 0 where it was left
    warnings: tuple[str, ...] = ()


# Where events go, one after another. Whoever says one waits until it is taken, so that a client
# who reads slowly slows the engine down. (Generators of events cost more: a dozen of them stood
# between the engine and the client, and each added 10 us to a request and 0.1 us to a token.)
Said = TypeVar("Said")
Say = Callable[[Said], Awaitable[None]]
Work = Callable[[Say[Said]], Awaitable[None]]
