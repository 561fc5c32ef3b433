"""Everything that can end a request; each class has its HTTP status and its code (RFC 9457).

    Problem
    ├── InvalidRequest              400 invalid_request
    ├── Unauthorized                401 unauthorized
    ├── ForbiddenUrl                403 forbidden_url
    ├── ForbiddenModel              403 forbidden_model
    ├── ModelNotFound               404 model_not_found
    ├── NotFound                    404 not_found
    ├── MethodNotAllowed            405 method_not_allowed
    ├── UploadTimeout               408 upload_timeout
    ├── BodyTooLarge                413 body_too_large
    ├── ImageTooLarge               413 image_too_large
    ├── UnsupportedImage            415 unsupported_image
    ├── UnreadableImage             422 unreadable_image
    ├── InvalidParameter            422 invalid_parameter
    │   └── GrammarUnsupported      422 invalid_parameter
    ├── PageOutOfRange              422 page_out_of_range
    ├── ContextOverflow             422 context_overflow
    ├── SchemaUnsatisfied           422 schema_unsatisfied
    ├── RateLimited                 429 rate_limited
    ├── QueueFull                   429 queue_full
    ├── InternalError               500 internal_error
    ├── EngineProblem
    │   ├── EngineError             502 engine_error
    │   ├── TokenRepeatLimit        502 engine_interrupted
    │   ├── ModelLoadingFailed      503 model_loading_failed
    │   └── TransientEngineProblem
    │       ├── EngineInterrupted   502 engine_interrupted
    │       │   └── StreamTruncated 502 engine_interrupted
    │       └── EngineUnavailable   503 engine_unavailable
    ├── Draining                    503 draining
    ├── ServerBusy                  503 server_busy
    └── DeadlineExceeded            504 deadline_exceeded

`detail` tells the reader what is wrong and what to do.
"""

from http import HTTPStatus
from typing import Any, ClassVar


class Problem(Exception):
    """Something that ends a request. `extra` goes into the problem object as it is."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    default_retry_after_s: ClassVar[float | None] = None

    def __init__(self, detail: str, *, retry_after_s: float | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = self.default_retry_after_s if retry_after_s is None else retry_after_s
        self.extra = extra

    def body(self, request_id: str) -> dict[str, Any]:
        """The problem object of the contract."""
        return {
            "type": f"urn:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
            **self.extra,
        }

    def headers(self) -> dict[str, str]:
        """`Retry-After` in whole seconds, where waiting helps."""
        if self.retry_after_s is None:
            return {}
        return {"Retry-After": str(max(1, round(self.retry_after_s)))}


class InvalidRequest(Problem):
    """The body or its content type cannot be read, or a required field is missing."""

    status, code = 400, "invalid_request"


class Unauthorized(Problem):
    """The request has no API key, or one that the server does not know."""

    status, code = 401, "unauthorized"


class ForbiddenUrl(Problem):
    """An image URL that may not be downloaded."""

    status, code = 403, "forbidden_url"


class ForbiddenModel(Problem):
    """A model that `ALLOWED_MODELS` leaves out, or that runs on other machines."""

    status, code = 403, "forbidden_model"


class ModelNotFound(Problem):
    """A model that is not installed."""

    status, code = 404, "model_not_found"


class NotFound(Problem):
    """A path that the server does not have."""

    status, code = 404, "not_found"


class MethodNotAllowed(Problem):
    """A path that does not take this method."""

    status, code = 405, "method_not_allowed"


class UploadTimeout(Problem):
    """A body that arrives too slowly."""

    status, code = 408, "upload_timeout"

    def headers(self) -> dict[str, str]:
        """The rest of the body is not waited for."""
        return {"Connection": "close"}


class BodyTooLarge(Problem):
    """A body above `MAX_BODY_MB`."""

    status, code = 413, "body_too_large"


class ImageTooLarge(Problem):
    """An image above `MAX_IMAGE_MEGAPIXELS`, or a document above `MAX_PAGES`."""

    status, code = 413, "image_too_large"


class UnsupportedImage(Problem):
    """A file of an unknown format."""

    status, code = 415, "unsupported_image"


class UnreadableImage(Problem):
    """An image or document that is empty, damaged or locked."""

    status, code = 422, "unreadable_image"


class InvalidParameter(Problem):
    """A field with a value that is not allowed."""

    status, code = 422, "invalid_parameter"


class GrammarUnsupported(InvalidParameter):
    """The engine has no grammar for a schema; its answer can still be checked."""


class PageOutOfRange(Problem):
    """A page that the document does not have."""

    status, code = 422, "page_out_of_range"


class ContextOverflow(Problem):
    """A prompt that does not fit the context of the model."""

    status, code = 422, "context_overflow"


class SchemaUnsatisfied(Problem):
    """An answer that does not fit the schema after a second try."""

    status, code = 422, "schema_unsatisfied"


class RateLimited(Problem):
    """More requests than `RATE_LIMIT` allows."""

    status, code = 429, "rate_limited"


class QueueFull(Problem):
    """`MAX_QUEUE` requests wait already."""

    status, code = 429, "queue_full"


class InternalError(Problem):
    """A bug of the server."""

    status, code = 500, "internal_error"


class EngineProblem(Problem):
    """The engine failed, not the request and not this server."""


class EngineError(EngineProblem):
    """The engine failed, or its answer cannot be used."""

    status, code = 502, "engine_error"


class TokenRepeatLimit(EngineProblem):
    """The engine ended an answer that repeated one token."""

    status, code = 502, "engine_interrupted"


class ModelLoadingFailed(EngineProblem):
    """The engine cannot load the model."""

    status, code = 503, "model_loading_failed"
    default_retry_after_s = 5


class TransientEngineProblem(EngineProblem):
    """The next attempt may succeed. Before the first token the request is sent to the engine
    again (`app.engine.stream`)."""


class EngineInterrupted(TransientEngineProblem):
    """The answer of the engine broke off."""

    status, code = 502, "engine_interrupted"


class StreamTruncated(EngineInterrupted):
    """The engine's stream ended before the answer was complete."""


class EngineUnavailable(TransientEngineProblem):
    """The engine cannot be reached or takes no requests."""

    status, code = 503, "engine_unavailable"
    default_retry_after_s = 5


class Draining(Problem):
    """The server shuts down."""

    status, code = 503, "draining"
    default_retry_after_s = 5

    def headers(self) -> dict[str, str]:
        """The next request is for another server."""
        return {**super().headers(), "Connection": "close"}


class ServerBusy(Problem):
    """The server itself, not the engine, has no room for the request now."""

    status, code = 503, "server_busy"


class DeadlineExceeded(Problem):
    """The request took longer than it may."""

    status, code = 504, "deadline_exceeded"
