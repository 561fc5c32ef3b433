"""The summary of a finished request, from which metrics, log line and trace are written.

It holds numbers and names only, nothing of images, prompts or answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

from starlette.types import Scope

from app.context import RequestContext, context_of
from app.schemas import Answer, ImageInfo

MAX_PATH_CHARACTERS = 200  # characters; a client may send any


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a request; times are seconds of `time.perf_counter`."""

    name: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class RequestSummary:
    """A finished request. Times are seconds of `time.perf_counter`, 0 for a stage not reached.

    `code` is `ok`, the code of a problem, or `client_left`. `task` is empty for a route without a
    task, `model` until it is resolved, and `status` is 0 if no response was sent.
    """

    request_id: str
    method: str
    path: str
    route: str  # as declared, such as `/v1/models/{name:path}`; empty without a route
    status: int
    code: str
    client: str  # the short hash of its key
    task: str
    model: str
    body_bytes: int | None
    images: Sequence[ImageInfo]
    answer: Answer | None  # complete and sent
    started: float
    ended: float
    prepared_at: float
    first_text_at: float
    stages: Sequence[Stage]  # those reached, in order; the last ends with the request

    @classmethod
    def from_scope(cls, scope: Scope, status: int, started: float, ended: float) -> Self:
        """Summarize the request from its context.

        Args:
            status: of the response, 0 for none.
        """
        context = context_of(scope)
        answer = context.answer
        whole = answer is not None if context.task else bool(status)
        code = context.code or ("ok" if whole else "client_left")
        return cls(
            request_id=context.request_id,
            method=scope["method"],
            # Quoted: a client cannot put a line break into a log.
            path=quote(scope["path"][:MAX_PATH_CHARACTERS], errors="replace"),
            route=getattr(scope.get("route"), "path", ""),
            status=status,
            code=code,
            client=context.key,
            task=context.task,
            model=context.model,
            body_bytes=context.body_bytes,
            images=context.images,
            answer=answer if code == "ok" else None,
            started=started,
            ended=ended,
            prepared_at=context.prepared_at,
            first_text_at=context.first_text_at,
            stages=_stages(context, started, ended) if context.task else (),
        )

    @property
    def cached(self) -> bool:
        return self.answer is not None and self.answer.cached

    def log_fields(self) -> dict[str, Any]:
        """The known fields for a log line or a span. Times are in milliseconds, `sent_pixels` is
        the total size of the images that the model gets."""
        took = {stage.name: round((stage.end - stage.start) * 1e3, 1) for stage in self.stages}
        first_ms = (self.first_text_at - self.started) * 1e3
        usage = self.answer.usage if self.answer else None
        fields = {
            "request_id": self.request_id,
            "method": self.method,
            "path": self.path,
            "status": self.status or None,
            "code": self.code,
            "client": self.client or None,
            "task": self.task or None,
            "model": self.model or None,
            "body_bytes": self.body_bytes,
            "images": len(self.images) or None,
            "sent_pixels": sum(one.sent_width * one.sent_height for one in self.images) or None,
            "image_tokens": sum(one.tokens for one in self.images) or None,
            "prompt_tokens": usage.prompt_tokens if usage else None,
            "completion_tokens": usage.completion_tokens if usage else None,
            "cached": self.cached or None,
            "load_ms": self.answer.timings.load_ms if self.answer else None,
            "read_ms": took.get("read"),
            "prepare_ms": took.get("prepare"),
            "queue_ms": took.get("queue"),
            "first_token_ms": round(first_ms, 1) if self.first_text_at else None,
            "total_ms": round((self.ended - self.started) * 1e3, 1),
        }
        return {name: value for name, value in fields.items() if value is not None}


def _stages(context: RequestContext, started: float, ended: float) -> tuple[Stage, ...]:
    marks = [("read", started), ("prepare", context.read_at)]
    ticket = context.ticket
    if ticket and not 0 < context.first_text_at < ticket.queued_at:
        marks += [("queue", ticket.queued_at), ("first_token", ticket.granted_at)]
    else:  # no slot was needed, or none before the first text
        marks += [("first_token", context.prepared_at)]
    marks += [("generate", context.first_text_at)]
    reached = [(name, at) for name, at in marks if at]
    ends = [at for _, at in reached[1:]] + [ended]
    return tuple(Stage(name, at, end) for (name, at), end in zip(reached, ends, strict=True))
