"""Ends a wait that takes too long, for what waits once a token.

`asyncio.timeout` arms a timer for each wait, which costs more than reading a token does; here one
timer looks, when a limit may have passed, whether it has.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Self, TypeVar

from app.errors import DeadlineExceeded, EngineInterrupted, Problem

Thing = TypeVar("Thing")


class Watch:
    """Limits of a stream, on the event loop's clock, in seconds. Enter it with `with`.

    Args:
        deadline: of all.
        stall_s: the longest single wait.
        stalled: called where that has passed, and then again, in place of ending the wait.
    """

    def __init__(
        self,
        deadline: float,
        stall_s: float = math.inf,
        stalled: Callable[[], None] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadline = deadline
        self._stall_s = stall_s
        self._stalled = stalled
        self._since = self._loop.time()
        self._task: asyncio.Task[object] | None = None  # the one that waits now
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf  # of the timer
        self._passed: Problem | None = None

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

    async def wait(self, coming: Awaitable[Thing]) -> Thing:
        """What comes, if it comes in time.

        Raises:
            DeadlineExceeded, EngineInterrupted: it did not.
        """
        self._since = self._loop.time()
        self._task = task = asyncio.current_task()
        before = task.cancelling() if task else 0
        try:
            return await coming
        except asyncio.CancelledError:
            # Ours, unless the task was ended from elsewhere, too (as in asyncio.timeout). Told
            # once: after another try may come, and whoever ends that is not us.
            passed, self._passed = self._passed, None
            if passed and task and task.uncancel() <= before:
                raise passed from None
            raise
        finally:
            self._task = None

    def narrow(self, stall_s: float) -> None:
        """From now on no single wait may take longer than this; it is ended then."""
        self._stall_s = stall_s
        self._stalled = None
        self._since = self._loop.time()
        limit = self._limit()
        if self._due > limit:  # else it looks earlier, and again
            self.stop()
            self._arm(limit)

    def end(self, problem: Problem) -> None:
        """End the wait of now, if there is one, with this."""
        if self._task:
            self._passed = problem
            self._task.cancel()

    def _limit(self) -> float:
        return min(self._deadline, self._since + self._stall_s)

    def _arm(self, due: float) -> None:
        self._due = due
        self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        limit = self._limit()
        now = self._loop.time()
        if now < limit or self._task is None:
            # Whoever does not wait now is busy with what came; it is looked at again.
            self._arm(max(limit, now + 0.05))
            return
        if now < self._deadline and self._stalled:
            self._since = now
            self._arm(self._limit())
            self._stalled()
            return
        if now >= self._deadline:
            problem: Problem = DeadlineExceeded(
                "The answer was not done in REQUEST_TIMEOUT_S. Ask for less (max_tokens, detail), "
                "or raise the limit.",
                partial="",
            )
        else:
            problem = EngineInterrupted(
                f"The engine sent nothing for {self._stall_s:g} s. Ask again.", partial=""
            )
        self.end(problem)
