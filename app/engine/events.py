"""The one stream of events that every answer is made of, whatever form it leaves in."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from app.schemas import Answer, ImageInfo


@dataclass(frozen=True, slots=True)
class Start:
    """The images are ready and the request is on its way."""

    id: str
    task: str
    model: str
    images: tuple[ImageInfo, ...]


@dataclass(frozen=True, slots=True)
class Queued:
    """Waiting for a slot: `position` 1 is next; `eta_ms` is expected from the measured rate."""

    position: int
    eta_ms: int


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer. `image` and `question` are indices from 0, where there are several;
    `page` counts from 1, where the image is a page."""

    text: str
    page: int | None = None
    question: int | None = None
    image: int | None = None

    @property
    def part(self) -> tuple[int | None, int | None, int | None]:
        """Pieces of one part belong together; parts are set apart by an empty line."""
        return (self.question, self.image, self.page)


@dataclass(frozen=True, slots=True)
class Cut:
    """The last so many characters of the answer were a loop. They are out already in a stream;
    the text of `done` is without them, and a warning says so."""

    characters: int


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A piece of the model's thoughts; leaves the server only where they were asked for."""

    text: str


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


@dataclass(frozen=True, slots=True)
class Done:
    """The whole answer; nothing comes after it. `repeatable`: the same request would get the same
    again."""

    answer: Answer
    repeatable: bool = False


Piece = Queued | Delta | Reasoning | Done
Event = Start | Piece

# Where events go, one after another. Whoever says one waits until it is taken, so that a client
# who reads slowly slows the engine down. (Generators of events cost more: a dozen of them stood
# between the engine and the client, and each added 10 us to a request and 0.1 us to a token.)
Said = TypeVar("Said")
Say = Callable[[Said], Awaitable[None]]
Work = Callable[[Say[Said]], Awaitable[None]]
