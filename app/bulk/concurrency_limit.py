"""Adaptive concurrency limit of one server: AIMD on its refusals, like TCP congestion control.

The limit grows by one per answer until the first refusal, then by one per round of answers, and is
halved by a refusal (slow start, congestion avoidance, multiplicative decrease: RFC 5681, 3.1).
Additive increase and multiplicative decrease let several clients of one server converge to equal
shares (Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance",
1989). No request is sent before `Retry-After` has passed.
"""

import random

INITIAL_LIMIT = 2.0  # concurrent requests at the start
MAX_PAUSE_S = 30.0  # between two attempts without Retry-After


class ConcurrencyLimit:
    """The limit and state of one server. Times are monotonic, in seconds.

    Args:
        maximum: upper bound of concurrent requests.
    """

    def __init__(self, url: str, maximum: int) -> None:
        self.url, self.maximum = url, maximum
        self.current = min(INITIAL_LIMIT, float(maximum))
        self.running = 0
        self.down = False  # gets no requests; ServerPool probes it
        self.resume_at = 0.0  # no new request before
        self._threshold = float(maximum)
        self._reduced_at = 0.0
        self._consecutive_refusals = 0

    def has_room(self, now: float) -> bool:
        """Whether one more request may be sent."""
        return not self.down and now >= self.resume_at and self.running < int(self.current)

    @property
    def load(self) -> float:
        """Running requests as a share of the limit; 0 if idle."""
        return self.running / self.current

    def on_answer(self) -> None:
        """Raise the limit after an answer."""
        self._consecutive_refusals = 0
        step = 1.0 if self.current < self._threshold else 1 / self.current
        self.current = min(self.current + step, float(self.maximum))

    def on_refusal(self, sent_at: float, now: float, retry_after_s: float | None) -> None:
        """Lower the limit after a refusal (429 or 503).

        One refusal halves it; refusals of requests sent before that do not count again.

        Args:
            sent_at: when the refused request was sent.
            retry_after_s: as the server asks; None for an exponential pause with jitter.
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
        """Start again at one request after the server was down."""
        self.down, self._consecutive_refusals = False, 0
        self.current = 1.0
