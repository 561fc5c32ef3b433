"""What is known of one request: one object, from the first middleware to the log line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.engine.gate import Ticket
from app.schemas import Answer, ImageInfo
from app.uploads import Upload


@dataclass(slots=True)
class RequestContext:
    """Created by the outermost middleware, filled on the way, read by `app.account` at the end.

    Times are seconds of `time.perf_counter`, 0 for a stage that was not reached.
    """

    request_id: str
    # Who asks, and how. Answers are shared among the requests of one key.
    key: str = ""  # the short hash of the API key; empty where no keys are wanted
    address: str = ""
    no_store: bool = False  # the answer is neither shared nor kept
    # What is asked.
    task: str = ""  # empty for a route without a task
    model: str = ""  # empty until it was found
    images: Sequence[ImageInfo] = ()
    body_bytes: int | None = None
    upload: Upload | None = None  # the memory that its files hold
    # What came of it.
    code: str = ""  # of the problem that ended it
    answer: Answer | None = None
    ticket: Ticket | None = None  # the first that it asked for, waiting or served
    read_at: float = 0.0
    prepared_at: float = 0.0
    first_text_at: float = 0.0

    @property
    def client(self) -> str:
        """By which clients take turns, and are limited."""
        return self.key or self.address


def context_of(scope: Mapping[str, Any]) -> RequestContext:
    """The context of the request that an ASGI scope is of."""
    context: RequestContext = scope["state"]["context"]
    return context
