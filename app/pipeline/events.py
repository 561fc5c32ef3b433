"""The events of an answer, the same for every protocol and response format."""

from dataclasses import dataclass

from app.schemas import Answer, ImageInfo


@dataclass(frozen=True, slots=True)
class Start:
    """The images are prepared and the request is accepted."""

    id: str
    task: str
    model: str
    images: tuple[ImageInfo, ...]


@dataclass(frozen=True, slots=True)
class Queued:
    """The request waits for a slot. `position` 1 is next; `eta_ms` is the expected wait."""

    position: int
    eta_ms: int


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer. `image` and `question` are indices from 0 if there are several;
    `page` counts from 1 if the image is a page."""

    text: str
    page: int | None = None
    question: int | None = None
    image: int | None = None

    @property
    def part(self) -> tuple[int | None, int | None, int | None]:
        """Identifies the part of the answer. Parts are separated by an empty line."""
        return (self.question, self.image, self.page)


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A piece of the model's reasoning. It is emitted only if the request asks for it."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The complete answer, the last event. `cacheable`: the same request gets the same answer
    again."""

    answer: Answer
    cacheable: bool = False


AnswerEvent = Queued | Delta | Reasoning | Done
Event = Start | AnswerEvent
