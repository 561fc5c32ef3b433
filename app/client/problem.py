"""What a server answers instead of an answer, and what it is when nobody does."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

# What a client says of itself, in the same shape as a server's problem; their status is 0.
UNREACHABLE = "server_unreachable"  # nothing was sent
BROKEN = "connection_broken"  # it may have been worked on


class ServerProblem(Exception):
    """A request that got no answer.

    body: the problem object of the contract, as it came.
    status: of HTTP; 0 where no server said anything.
    retry_after_s: how long the server asks to wait, in seconds; None where it does not say.
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
        """For the person who reads it: what is wrong and what to do."""
        return str(self.body.get("detail", ""))

    @property
    def refused(self) -> bool:
        """Whether the server was too busy, or not ready, or says when to come again: the same
        request may do later, and nothing was lost but time."""
        return self.status in (429, 503) or self.retry_after_s is not None

    @property
    def unreachable(self) -> bool:
        """Whether there was no server to send it to."""
        return self.code == UNREACHABLE

    @property
    def temporary(self) -> bool:
        """Whether it is worth another attempt at all; a 4xx is about the request itself."""
        return self.refused or self.status in (0, 408) or self.status >= 500


def server_unreachable(url: str, reason: str) -> ServerProblem:
    """Nothing listens there."""
    return ServerProblem(
        {
            "code": UNREACHABLE,
            "detail": f"No server answers at {url}{reason and f' ({reason})'}. Start it with "
            "./run_server.sh, or set its URL with --server.",
        }
    )


def connection_broken(url: str, reason: str) -> ServerProblem:
    """The connection ended before the answer did."""
    return ServerProblem(
        {
            "code": BROKEN,
            "detail": f"The connection to {url} closed before the answer was complete ({reason}). "
            "Try again.",
        }
    )


def problem_from(response: httpx.Response) -> ServerProblem:
    """What a response that is no answer means; its body has been read.

    A proxy in front answers in its own words: its status counts, and the beginning of its text.
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
    """`Retry-After` in seconds: a number of them, or a date (RFC 9110, 10.2.3)."""
    if value.strip().isdecimal():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
