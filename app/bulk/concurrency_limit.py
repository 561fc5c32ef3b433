"""How many requests a server takes at once: found out from what it refuses, as TCP does.

The limit grows by one an answer until the first refusal, then by one a round of answers, and is
halved by a refusal (slow start, congestion avoidance, multiplicative decrease: RFC 5681, 3.1).
Growing by addition and shrinking by multiplication is what lets several clients of one server come
to equal shares (Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion
Avoidance", 1989). `Retry-After` is kept to: nothing new goes there before.
"""

import random

INITIAL_LIMIT = 2.0  # requests at once, to begin with
MAX_PAUSE_S = 30.0  # between two tries, where the server does not say when


class ConcurrencyLimit:
    """One server. Times are those of a monotonic clock, in seconds.

    Args:
        most: requests at once that are never exceeded.
    """

    def __init__(self, url: str, maximum: int) -> None:
        self.url, self.maximum = url, maximum
        self.current = min(INITIAL_LIMIT, float(maximum))
        self.running = 0
        self.down = False  # set aside; somebody asks now and then whether it is back
        self.resume_at = 0.0  # nothing new before
        self._threshold = float(maximum)
        self._reduced_at = 0.0
        self._consecutive_refusals = 0  # in a row

    def has_room(self, now: float) -> bool:
        """Whether one more may go there."""
        return not self.down and now >= self.resume_at and self.running < int(self.current)

    @property
    def load(self) -> float:
        """How busy it is: 0 with nothing to do."""
        return self.running / self.current

    def on_answer(self) -> None:
        """It took a request and was done with it."""
        self._consecutive_refusals = 0
        step = 1.0 if self.current < self._threshold else 1 / self.current
        self.current = min(self.current + step, float(self.maximum))

    def on_refusal(self, sent_at: float, now: float, retry_after_s: float | None) -> None:
        """It was too busy for a request that was sent at `started`.

        One refusal halves the limit; those that were sent before that tell nothing new.
        """
        self._consecutive_refusals += 1
        if sent_at >= self._reduced_at:
            self._reduced_at = now
            self._threshold = self.current = max(1.0, self.current / 2)
        if retry_after_s is None:
            # Full jitter: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
            retry_after_s = random.uniform(0, min(MAX_PAUSE_S, 2.0**self._consecutive_refusals))  # noqa: S311
        self.resume_at = max(self.resume_at, now + retry_after_s)

    def on_recovery(self) -> None:
        """It is back: begin carefully."""
        self.down, self._consecutive_refusals = False, 0
        self.current = 1.0
