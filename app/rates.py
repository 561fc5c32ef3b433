"""How often a client may ask."""

import time

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from app.errors import RateLimited


class Rates:
    """A moving window a client (API key, else address); no limit where the rule is empty.

    Args:
        rule: such as `60/minute` or `5 per second` (the `limits` package's notation).

    Raises:
        ValueError: the rule cannot be read.
    """

    def __init__(self, rule: str) -> None:
        self._item: RateLimitItem | None = parse(rule) if rule.strip() else None
        self._window = MovingWindowRateLimiter(MemoryStorage())

    async def check(self, client: str) -> None:
        """Count one request.

        Raises:
            RateLimited: it is one too many, with the seconds until the next may come.
        """
        if self._item is None or await self._window.hit(self._item, client):
            return
        stats = await self._window.get_window_stats(self._item, client)
        wait_s = max(1.0, stats.reset_time - time.time())
        raise RateLimited(
            f"At most {self._item} are taken of one client. Try again in {wait_s:.0f} s.",
            retry_after_s=wait_s,
        )
