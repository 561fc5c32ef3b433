"""Rate limit per client."""

import time
from collections import OrderedDict, deque

from limits import RateLimitItem, parse

from app.errors import RateLimited

MOST_CLIENTS = 100_000  # kept at most; beyond that the least recently seen one is dropped


class Rates:
    """A sliding window per client (API key, else address). An empty rule means no limit.

    The `limits` package parses the rule; the window is kept here, since its storage took 7 % of a
    request's time (it sweeps in a thread or task of its own, every 10 ms).

    Args:
        rule: such as `60/minute` or `5 per second`.

    Raises:
        ValueError: the rule cannot be parsed.
    """

    def __init__(self, rule: str) -> None:
        self._item: RateLimitItem | None = parse(rule) if rule.strip() else None
        self._period_s = self._item.get_expiry() if self._item else 0
        # Request times of each client within the last period, least recent client first.
        self._asked: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, client: str) -> None:
        """Count one request.

        Raises:
            RateLimited: the limit is reached; carries the seconds until the next is accepted.
        """
        if self._item is None:
            return
        now = time.monotonic()
        if client not in self._asked:
            self._forget(now)
            self._asked[client] = deque()
        asked = self._asked[client]
        while asked and asked[0] <= now - self._period_s:
            asked.popleft()
        if len(asked) >= self._item.amount:
            wait_s = max(1.0, asked[0] + self._period_s - now)
            raise RateLimited(
                f"The limit of {self._item} per client is reached. Try again in {wait_s:.0f} s.",
                retry_after_s=wait_s,
            )
        asked.append(now)
        self._asked.move_to_end(client)

    def _forget(self, now: float) -> None:
        """Drop clients without a request in the last period; past `MOST_CLIENTS` also others, the
        least recently seen first."""
        while self._asked:
            client, asked = next(iter(self._asked.items()))
            if len(self._asked) < MOST_CLIENTS and asked[-1] > now - self._period_s:
                return
            del self._asked[client]
