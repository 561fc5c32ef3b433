"""How many requests a server takes at once: found out from what it refuses, as TCP does.

The limit grows by one an answer until the first refusal, then by one a round of answers, and is
halved by a refusal (slow start, congestion avoidance, multiplicative decrease: RFC 5681, 3.1).
Growing by addition and shrinking by multiplication is what lets several clients of one server come
to equal shares (Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion
Avoidance", 1989). `Retry-After` is kept to: nothing new goes there before.
"""

import random

FIRST = 2.0  # requests at once, to begin with
LONGEST_S = 30.0  # between two tries, where the server does not say when


class Lane:
    """One server. Times are those of a monotonic clock, in seconds.

    Args:
        most: requests at once that are never exceeded.
    """

    def __init__(self, url: str, most: int) -> None:
        self.url, self.most = url, most
        self.limit = min(FIRST, float(most))
        self.running = 0
        self.down = False  # set aside; somebody asks now and then whether it is back
        self.resumes = 0.0  # nothing new before
        self._threshold = float(most)
        self._cut = 0.0
        self._refusals = 0  # in a row

    def free(self, now: float) -> bool:
        """Whether one more may go there."""
        return not self.down and now >= self.resumes and self.running < int(self.limit)

    @property
    def load(self) -> float:
        """How busy it is: 0 with nothing to do."""
        return self.running / self.limit

    def answered(self) -> None:
        """It took a request and was done with it."""
        self._refusals = 0
        step = 1.0 if self.limit < self._threshold else 1 / self.limit
        self.limit = min(self.limit + step, float(self.most))

    def refused(self, started: float, now: float, retry_after_s: float | None) -> None:
        """It was too busy for a request that was sent at `started`.

        One refusal halves the limit; those that were sent before that tell nothing new.
        """
        self._refusals += 1
        if started >= self._cut:
            self._cut = now
            self._threshold = self.limit = max(1.0, self.limit / 2)
        if retry_after_s is None:
            # Full jitter: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
            retry_after_s = random.uniform(0, min(LONGEST_S, 2.0**self._refusals))  # noqa: S311
        self.resumes = max(self.resumes, now + retry_after_s)

    def returned(self) -> None:
        """It is back: begin carefully."""
        self.down, self._refusals = False, 0
        self.limit = 1.0
