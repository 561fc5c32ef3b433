"""The events that every answer is made of, whatever protocol and format it leaves in."""

from dataclasses import dataclass

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
class Reasoning:
    """A piece of the model's thoughts; leaves the server only where they were asked for."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The whole answer; nothing comes after it. `repeatable`: the same request would get the same
    again."""

    answer: Answer
    repeatable: bool = False


Piece = Queued | Delta | Reasoning | Done
Event = Start | Piece
