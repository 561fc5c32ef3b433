"""How often a client may ask."""

import time
from collections import OrderedDict, deque

from limits import RateLimitItem, parse

from app.errors import RateLimited

MOST_CLIENTS = 100_000  # remembered at once; beyond, the one longest silent is forgotten


class Rates:
    """A moving window a client (API key, else address); no limit where the rule is empty.

    The window is kept here: the `limits` package reads the rule, but its own storage took 7 % of a
    request's time (it sweeps in a thread or task of its own, every 10 ms).

    Args:
        rule: such as `60/minute` or `5 per second`.

    Raises:
        ValueError: the rule cannot be read.
    """

    def __init__(self, rule: str) -> None:
        self._item: RateLimitItem | None = parse(rule) if rule.strip() else None
        self._period_s = self._item.get_expiry() if self._item else 0
        # When each client asked, within the last period; who asked last is at the end.
        self._asked: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, client: str) -> None:
        """Count one request.

        Raises:
            RateLimited: it is one too many, with the seconds until the next may come.
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
                f"At most {self._item} are taken of one client. Try again in {wait_s:.0f} s.",
                retry_after_s=wait_s,
            )
        asked.append(now)
        self._asked.move_to_end(client)

    def _forget(self, now: float) -> None:
        """Those who have not asked for a period; of too many also others, the most silent first."""
        while self._asked:
            client, asked = next(iter(self._asked.items()))
            if len(self._asked) < MOST_CLIENTS and asked[-1] > now - self._period_s:
                return
            del self._asked[client]
