"""A circuit breaker for the engine.

Without it each request would wait in the queue and then up to the connect timeout before it
learned that the engine is unreachable.
"""

import time

from app.errors import EngineUnavailable

OPENS_AFTER = 3  # consecutive failed connections
PAUSE_S = 1.0  # time between two probes


class Breaker:
    """Opens after `OPENS_AFTER` consecutive failures. While open, one request in `PAUSE_S` seconds
    passes as a probe and the others are refused. Any response of the engine closes it."""

    def __init__(self) -> None:
        self._failures = 0
        self._probe_at = 0.0
        self._reason = ""

    @property
    def open(self) -> bool:
        return self._failures >= OPENS_AFTER

    def check(self) -> None:
        """Raises EngineUnavailable if a request would be refused now."""
        if self.open and time.monotonic() < self._probe_at:
            raise EngineUnavailable(
                f"{self._reason} {self._failures} attempts failed. Retry in {PAUSE_S:g} s.",
                retry_after_s=PAUSE_S,
            )

    def enter(self) -> None:
        """As `check`. A request that passes an open breaker becomes the probe.

        Raises:
            EngineUnavailable: the request is refused.
        """
        self.check()
        if self.open:
            self._probe_at = time.monotonic() + PAUSE_S

    def failed(self, reason: str) -> None:
        """Record that the engine was unreachable. `reason` is a sentence."""
        self._failures += 1
        self._reason = reason
        self._probe_at = time.monotonic() + PAUSE_S

    def answered(self) -> None:
        """Record a response of the engine."""
        self._failures = 0
