"""Creates the request context, adds common headers, and records each finished request.

Pure ASGI: BaseHTTPMiddleware hides disconnects and costs a task per request.
"""

import re
import time
from random import Random

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.account import Account
from app.context import RequestContext
from app.logs import log
from app.metrics import Metrics
from app.problems import internal_error, problem_response

_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
QUIET = frozenset({"/health", "/ready", "/metrics"})  # polled every few seconds


_random = Random()  # noqa: S311 - an id is no secret, and SystemRandom costs a system call

# Security headers of every response.
SAFE = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)


def request_id(scope: Scope) -> str:
    """The client's `X-Request-ID` if it is valid, else a new id."""
    sent = (value for name, value in scope["headers"] if name == b"x-request-id")
    given = next(sent, b"").decode("latin-1")
    return given if _SANE_ID.fullmatch(given) else f"req_{_random.getrandbits(128):032x}"


class Envelope:
    """Creates the `RequestContext`, adds `X-Request-ID` and `Server-Timing`, and turns an unhandled
    exception into a problem response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._log = log.bind()  # bound once: a lazy proxy looks its configuration up at each call

    def _tell(self, scope: Scope, status: int, started: float) -> None:
        """Write metrics, log line and trace of a finished request."""
        account = Account.of(scope, status, started, time.perf_counter())
        known = scope["app"].state
        metrics: Metrics = known.metrics
        metrics.ended(account)
        if account.path in QUIET and account.code != "unauthorized":
            return
        ids = known.spans.ended(account, Headers(scope=scope)) if known.spans else {}
        self._log.info("request", **account.fields(), **ids)

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
                fields = [*message.get("headers", ()), *SAFE, (b"x-request-id", ident.encode())]
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
            self._tell(scope, status, started)
