"""A circuit breaker: an engine that is not there is not asked by everyone.

Without it each request would find out by itself, up to the connect timeout, one after another
through the gate.
"""

import time

from app.errors import EngineUnavailable

OPENS_AFTER = 3  # connections in a row that were not made
PAUSE_S = 1.0  # between two probes


class Breaker:
    """Open after `OPENS_AFTER` failures in a row: then one request in `PAUSE_S` seconds is let
    through as a probe, and the others are refused. Any answer of the engine closes it."""

    def __init__(self) -> None:
        self._failures = 0
        self._probe_at = 0.0
        self._reason = ""

    @property
    def open(self) -> bool:
        return self._failures >= OPENS_AFTER

    def check(self) -> None:
        """Raises EngineUnavailable where a request would not be let through now."""
        if self.open and time.monotonic() < self._probe_at:
            raise EngineUnavailable(
                f"{self._reason} It was tried {self._failures} times; the next try is within "
                f"{PAUSE_S:g} s.",
                retry_after_s=PAUSE_S,
            )

    def enter(self) -> None:
        """As `check`; where it is open, the one that gets through is the probe."""
        self.check()
        if self.open:
            self._probe_at = time.monotonic() + PAUSE_S

    def failed(self, reason: str) -> None:
        """The engine was not reached; `reason` is a sentence."""
        self._failures += 1
        self._reason = reason
        self._probe_at = time.monotonic() + PAUSE_S

    def answered(self) -> None:
        """The engine said something."""
        self._failures = 0
