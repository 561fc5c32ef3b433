"""Around every request: its id, its time, what is told of it, and no error without a body.

Pure ASGI: BaseHTTPMiddleware hides disconnects and costs a task a request.
"""

import re
import time
import uuid
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.account import Account
from app.errors import InternalError
from app.logs import log
from app.metrics import Metrics
from app.routes.problems import problem_response

_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
QUIET = frozenset({"/health", "/ready", "/metrics"})  # asked every few seconds by whoever watches


def request_id(headers: Mapping[str, str]) -> str:
    """The client's own `X-Request-ID` where it is one word, else a new one."""
    given = headers.get("x-request-id", "")
    return given if _SANE_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"


class Envelope:
    """Sets `scope["state"]["request_id"]`; adds `X-Request-ID` and `Server-Timing`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    @staticmethod
    def _tell(scope: Scope, status: int, started: float) -> None:
        """A request is over: count it, log it, and trace it where that is asked for."""
        account = Account.of(scope, status, started, time.perf_counter())
        known = scope["app"].state
        metrics: Metrics = known.metrics
        metrics.ended(account)
        if account.path in QUIET and account.code != "unauthorized":
            return
        ids = known.spans.ended(account, Headers(scope=scope)) if known.spans else {}
        log.info("request", **account.fields(), **ids)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        ident = request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = ident
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = ident
                headers["x-content-type-options"] = "nosniff"
                headers["x-frame-options"] = "DENY"
                headers["referrer-policy"] = "no-referrer"
                elapsed_ms = (time.perf_counter() - started) * 1e3
                headers.setdefault("server-timing", f"total;dur={elapsed_ms:.1f}")
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except ClientDisconnect:
            pass  # while it sent its body; there is nobody to be told
        except Exception:
            log.exception("a bug ended the request", request_id=ident)
            scope["state"]["code"] = InternalError.code
            if status:
                raise
            problem = InternalError("A fault in this server ended the request.")
            await problem_response(problem, scope)(scope, receive, send_with_headers)
        finally:
            self._tell(scope, status, started)
