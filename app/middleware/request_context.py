"""Creates the request context, adds common headers, and records each finished request.

Pure ASGI: BaseHTTPMiddleware hides disconnects and costs a task per request.
"""

import re
import time
from random import Random

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.context import RequestContext
from app.observability.logs import log
from app.observability.metrics import Metrics
from app.observability.request_summary import RequestSummary
from app.problems import internal_error, problem_response

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
UNLOGGED_PATHS = frozenset({"/health", "/ready", "/metrics"})  # polled every few seconds


_random = Random()  # noqa: S311 - an id is no secret, and SystemRandom costs a system call

# Security headers of every response.
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)


def request_id(scope: Scope) -> str:
    """The client's `X-Request-ID` if it is valid, else a new id."""
    sent = (value for name, value in scope["headers"] if name == b"x-request-id")
    given = next(sent, b"").decode("latin-1")
    return given if _REQUEST_ID.fullmatch(given) else f"req_{_random.getrandbits(128):032x}"


class RequestContextMiddleware:
    """Creates the `RequestContext`, adds `X-Request-ID` and `Server-Timing`, and turns an unhandled
    exception into a problem response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._log = log.bind()  # bound once: a lazy proxy looks its configuration up at each call

    def _record(self, scope: Scope, status: int, started: float) -> None:
        """Write metrics, log line and trace of a finished request."""
        summary = RequestSummary.from_scope(scope, status, started, time.perf_counter())
        app_state = scope["app"].state
        metrics: Metrics = app_state.metrics
        metrics.record(summary)
        if summary.path in UNLOGGED_PATHS and summary.code != "unauthorized":
            return
        ids = app_state.tracer.record(summary, Headers(scope=scope)) if app_state.tracer else {}
        self._log.info("request", **summary.log_fields(), **ids)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        ident = request_id(scope)
        context = RequestContext(ident)
        scope.setdefault("state", {})["context"] = context
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                fields = [
                    *message.get("headers", ()),
                    *SECURITY_HEADERS,
                    (b"x-request-id", ident.encode()),
                ]
                if not any(name == b"server-timing" for name, _ in fields):
                    elapsed_ms = (time.perf_counter() - started) * 1e3
                    fields.append((b"server-timing", b"total;dur=%.1f" % elapsed_ms))
                message["headers"] = fields
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except ClientDisconnect:
            pass  # while it sent its body; nobody is left to get a response
        except Exception:
            problem = internal_error(ident)
            context.code = problem.code
            if status:
                raise
            await problem_response(problem, scope)(scope, receive, send_with_headers)
        finally:
            if context.upload:
                context.upload.release()
            self._record(scope, status, started)
