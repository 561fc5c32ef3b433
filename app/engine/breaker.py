"""A circuit breaker for the engine.

Without it each request would wait in the queue and then up to the connect timeout before it
learned that the engine is unreachable.
"""

import time

from app.errors import EngineUnavailable

FAILURE_THRESHOLD = 3  # consecutive failed connections
PROBE_INTERVAL_S = 1.0  # time between two probes


class CircuitBreaker:
    """Opens after `FAILURE_THRESHOLD` consecutive failures. While open, one request in
    `PROBE_INTERVAL_S` seconds passes as a probe and the others are refused. Any response of the
    engine closes it."""

    def __init__(self) -> None:
        self._failures = 0
        self._probe_at = 0.0
        self._reason = ""

    @property
    def is_open(self) -> bool:
        return self._failures >= FAILURE_THRESHOLD

    def check(self) -> None:
        """Raises EngineUnavailable if a request would be refused now."""
        if self.is_open and time.monotonic() < self._probe_at:
            raise EngineUnavailable(
                f"{self._reason} {self._failures} attempts failed. Retry in {PROBE_INTERVAL_S:g} "
                "s.",
                retry_after_s=PROBE_INTERVAL_S,
            )

    def before_request(self) -> None:
        """As `check`. A request that passes an open breaker becomes the probe.

        Raises:
            EngineUnavailable: the request is refused.
        """
        self.check()
        if self.is_open:
            self._probe_at = time.monotonic() + PROBE_INTERVAL_S

    def record_failure(self, reason: str) -> None:
        """Record that the engine was unreachable. `reason` is a sentence."""
        self._failures += 1
        self._reason = reason
        self._probe_at = time.monotonic() + PROBE_INTERVAL_S

    def record_success(self) -> None:
        """Record a response of the engine."""
        self._failures = 0
