"""ServerProblem: an error response of the server, or the failure to reach it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

# Codes of the client itself; their status is 0.
UNREACHABLE = "server_unreachable"  # the request was not sent
BROKEN = "connection_broken"  # the server may have worked on the request


class ServerProblem(Exception):
    """A request without an answer.

    body: the problem object of the API, as received.
    status: HTTP status; 0 without a response.
    retry_after_s: `Retry-After` in seconds; None if the server sends none.
    """

    def __init__(self, body: Mapping[str, Any], retry_after_s: float | None = None) -> None:
        super().__init__(body.get("detail", ""))
        self.body = dict(body)
        self.retry_after_s = retry_after_s

    @property
    def status(self) -> int:
        """The HTTP status; 0 where the body names none."""
        return int(self.body.get("status", 0))

    @property
    def code(self) -> str:
        """Such as `queue_full`; empty where the body names none."""
        return str(self.body.get("code", ""))

    @property
    def detail(self) -> str:
        """What is wrong and what to do, for the user."""
        return str(self.body.get("detail", ""))

    @property
    def refused(self) -> bool:
        """Whether the server is busy or not ready, or sends `Retry-After`: the same request may
        succeed later."""
        return self.status in (429, 503) or self.retry_after_s is not None

    @property
    def unreachable(self) -> bool:
        """Whether the server could not be reached."""
        return self.code == UNREACHABLE

    @property
    def temporary(self) -> bool:
        """Whether a retry may succeed; other 4xx are errors of the request itself."""
        return self.refused or self.status in (0, 408) or self.status >= 500


def server_unreachable(url: str, reason: str) -> ServerProblem:
    """No server accepts connections at `url`."""
    return ServerProblem(
        {
            "code": UNREACHABLE,
            "detail": f"No server answers at {url}{reason and f' ({reason})'}. Start it with "
            "./run_server.sh, or set its URL with --server.",
        }
    )


def connection_broken(url: str, reason: str) -> ServerProblem:
    """The connection closed before the end of the answer."""
    return ServerProblem(
        {
            "code": BROKEN,
            "detail": f"The connection to {url} closed before the answer was complete ({reason}). "
            "Try again.",
        }
    )


def problem_from(response: httpx.Response) -> ServerProblem:
    """The problem of an error response, whose body has been read.

    A response of a proxy has its status and the start of its text.
    """
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or "detail" not in body:
        text = " ".join(response.text.split())[:200]
        detail = f"HTTP {response.status_code} {response.reason_phrase} from {response.url.host}"
        body = {"code": "http_error", "detail": f"{detail}: {text}" if text else f"{detail}."}
    body["status"] = response.status_code
    return ServerProblem(body, _retry_after(response.headers.get("retry-after", "")))


def _retry_after(value: str) -> float | None:
    """Parse `Retry-After`, seconds or a date (RFC 9110, 10.2.3), into seconds."""
    if value.strip().isdecimal():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
