"""The events of one generation. They know no task, page or question: `app.pipeline.executor` adds
those.

The position in the queue is no event: it is `app.engine.scheduler.QueuePosition`.
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
class Retract:
    """The last `characters` of the answer were a loop. A stream has already sent them. The text of
    the complete answer omits them, and a warning reports it."""

    characters: int


@dataclass(frozen=True, slots=True)
class GenerationEnd:
    """The end of one generation. Counts are the engine's token counts; times are milliseconds."""

    finish_reason: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    load_ms: float = 0.0
    prompt_ms: float = 0.0
    generate_ms: float = 0.0
    first_prompt_tokens: int = 0  # the engine's count of the first prompt; 0 if it ended early
    warnings: tuple[str, ...] = ()


# `Emit`: a callback that receives events in order. `EventSource`: a function that passes its events
# to such a callback. It awaits each call, so that a slow client exerts backpressure on the engine.
# (Async generators cost more: a dozen of them between engine and client each added 10 us to a
# request and 0.1 us to a token.)
EventT = TypeVar("EventT")
Emit = Callable[[EventT], Awaitable[None]]
EventSource = Callable[[Emit[EventT]], Awaitable[None]]
