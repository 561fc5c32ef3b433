"""Enforces a deadline and a stall timeout on waits that happen for every token.

`asyncio.timeout` arms a timer for each wait, which costs more than reading a token. Here one timer
checks the limits only when one of them may have passed.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Self, TypeVar

from app.errors import DeadlineExceeded, EngineInterrupted, Problem

T = TypeVar("T")


class Watchdog:
    """Time limits of a stream. Use it as a context manager.

    Args:
        deadline: limit of the whole stream, in seconds of the event loop's clock.
        stall_s: longest single wait, in seconds.
        on_stall: called each time `stall_s` passes. Without it the wait ends with an error.
    """

    def __init__(
        self,
        deadline: float,
        stall_s: float = math.inf,
        on_stall: Callable[[], None] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadline = deadline
        self._stall_s = stall_s
        self._on_stall = on_stall
        self._wait_started = self._loop.time()
        self._task: asyncio.Task[object] | None = None  # the waiting task
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf  # time of the timer
        self._problem: Problem | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._arm(self._limit())

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()

    async def wait(self, coming: Awaitable[T]) -> T:
        """Await `coming` within the limits.

        Raises:
            DeadlineExceeded: the deadline has passed.
            EngineInterrupted: the wait took longer than `stall_s`.
            Problem: the problem given to `abort`.
        """
        self._wait_started = self._loop.time()
        self._task = task = asyncio.current_task()
        before = task.cancelling() if task else 0
        try:
            return await coming
        except asyncio.CancelledError:
            # Raise our problem, unless the task was also cancelled from outside (as in
            # asyncio.timeout). It is cleared, because a retry may follow that others cancel.
            problem, self._problem = self._problem, None
            if problem and task and task.uncancel() <= before:
                raise problem from None
            raise
        finally:
            self._task = None

    def set_stall_timeout(self, stall_s: float) -> None:
        """Limit each single wait to `stall_s` seconds from now on, and drop `on_stall`."""
        self._stall_s = stall_s
        self._on_stall = None
        self._wait_started = self._loop.time()
        limit = self._limit()
        if self._timer_at > limit:  # otherwise the armed timer fires earlier and is armed again
            self.stop()
            self._arm(limit)

    def abort(self, problem: Problem) -> None:
        """End the current wait, if there is one, with `problem`."""
        if self._task:
            self._problem = problem
            self._task.cancel()

    def _limit(self) -> float:
        return min(self._deadline, self._wait_started + self._stall_s)

    def _arm(self, due: float) -> None:
        self._timer_at = due
        self._timer = self._loop.call_at(due, self._check)

    def _check(self) -> None:
        limit = self._limit()
        now = self._loop.time()
        if now < limit or self._task is None:
            # Without a current wait the task is processing data; check again later.
            self._arm(max(limit, now + 0.05))
            return
        if now < self._deadline and self._on_stall:
            self._wait_started = now
            self._arm(self._limit())
            self._on_stall()
            return
        if now >= self._deadline:
            problem: Problem = DeadlineExceeded(
                "The answer was not complete within REQUEST_TIMEOUT_S. Lower max_tokens or detail, "
                "or raise the limit.",
                partial="",
            )
        else:
            problem = EngineInterrupted(
                f"The engine sent nothing for {self._stall_s:g} s. Retry the request.", partial=""
            )
        self.abort(problem)
