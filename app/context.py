"""The state of one request, from the first middleware to the log line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.engine.scheduler import Ticket
from app.schemas import Answer, ImageInfo
from app.server.upload_memory import UploadReservation


@dataclass(slots=True)
class RequestContext:
    """Created by the outermost middleware, filled by routes and pipeline, read by
    `app.observability.request_summary`.

    Times are seconds of `time.perf_counter`, 0 for a stage that was not reached.
    """

    request_id: str
    # The client. Answers are shared among the requests of one key.
    key: str = ""  # the short hash of the API key; empty where no keys are wanted
    address: str = ""
    no_store: bool = False  # the answer is neither shared nor kept
    # The request.
    task: str = ""  # empty for a route without a task
    model: str = ""  # empty until it is resolved
    images: Sequence[ImageInfo] = ()
    body_bytes: int | None = None
    upload: UploadReservation | None = None  # the memory that its files hold
    # The outcome.
    code: str = ""  # of the problem that ended the request
    answer: Answer | None = None
    ticket: Ticket | None = None  # the first one taken, waiting or granted
    read_at: float = 0.0
    prepared_at: float = 0.0
    first_text_at: float = 0.0

    @property
    def client(self) -> str:
        """Identifies the client for fair queueing and rate limits."""
        return self.key or self.address


def context_of(scope: Mapping[str, Any]) -> RequestContext:
    """The context of the request of an ASGI scope."""
    context: RequestContext = scope["state"]["context"]
    return context
