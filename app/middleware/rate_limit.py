"""Rate limit per client. It is no middleware: `app.routes.admission` checks it for each task."""

import time
from collections import OrderedDict, deque

from limits import RateLimitItem, parse

from app.errors import RateLimited

MAX_CLIENTS = 100_000  # kept at most; beyond that the least recently seen one is dropped


class RateLimiter:
    """A sliding window per client (API key, else address). An empty rule means no limit.

    The `limits` package parses the rule; the window is kept here, since its storage took 7 % of a
    request's time (it sweeps in a thread or task of its own, every 10 ms).

    Args:
        rule: such as `60/minute` or `5 per second`.

    Raises:
        ValueError: the rule cannot be parsed.
    """

    def __init__(self, rule: str) -> None:
        self._limit: RateLimitItem | None = parse(rule) if rule.strip() else None
        self._period_s = self._limit.get_expiry() if self._limit else 0
        # Request times of each client within the last period, least recent client first.
        self._request_times: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, client: str) -> None:
        """Count one request.

        Raises:
            RateLimited: the limit is reached; carries the seconds until the next is accepted.
        """
        if self._limit is None:
            return
        now = time.monotonic()
        if client not in self._request_times:
            self._evict(now)
            self._request_times[client] = deque()
        times = self._request_times[client]
        while times and times[0] <= now - self._period_s:
            times.popleft()
        if len(times) >= self._limit.amount:
            wait_s = max(1.0, times[0] + self._period_s - now)
            raise RateLimited(
                f"The limit of {self._limit} per client is reached. Try again in {wait_s:.0f} s.",
                retry_after_s=wait_s,
            )
        times.append(now)
        self._request_times.move_to_end(client)

    def _evict(self, now: float) -> None:
        """Drop clients without a request in the last period; past `MAX_CLIENTS` also others, the
        least recently seen first."""
        while self._request_times:
            client, times = next(iter(self._request_times.items()))
            if len(self._request_times) < MAX_CLIENTS and times[-1] > now - self._period_s:
                return
            del self._request_times[client]
