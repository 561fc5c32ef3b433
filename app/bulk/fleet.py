"""The servers of a run: the least busy one first, a dead one set aside until it is back."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, Self

from app.bulk.lane import LONGEST_S, Lane
from app.client.client import Client
from app.client.problem import ServerProblem

# One is prepared and one is sent while the others are answered; more would only stand in the
# queue, before people who wait.
SPARE = 2
SLOTS = 4  # where a server does not tell how many it has


class NobodyLeft(Exception):
    """No server has answered for as long as the run is willing to wait."""


class Fleet:
    """Use it in `async with`; then `lane` gives one server for one request.

    Args:
        most: requests at once to each server; 0: as many as it has slots, and a few.
        patience_s: how long nobody may be there, in seconds.
        say: takes a sentence when a server is set aside, or back.
    """

    def __init__(
        self,
        urls: Sequence[str],
        api_key: str,
        most: int = 0,
        patience_s: float = 600.0,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.clients = {url: Client(url, api_key) for url in urls}
        self.lanes: list[Lane] = []
        self._most, self._patience_s, self._say = most, patience_s, say
        self._changed = asyncio.Condition()
        self._probes: set[asyncio.Task[None]] = set()
        self._stack = AsyncExitStack()
        self._lost_at = 0.0  # when the last of them was set aside

    async def __aenter__(self) -> Self:
        """Raises ServerProblem where none of the servers can be asked, or one refuses the key."""
        for client in self.clients.values():
            await self._stack.enter_async_context(client)
        told = await asyncio.gather(
            *(client.status() for client in self.clients.values()), return_exceptions=True
        )
        problems = []
        for url, status in zip(self.clients, told, strict=True):
            if isinstance(status, ServerProblem):
                problems.append(status)
            elif isinstance(status, BaseException):
                raise status
            self.lanes.append(Lane(url, self._most or _slots(status) + SPARE))
        for problem in problems:
            if len(problems) == len(self.lanes) or not problem.temporary:
                await self._stack.aclose()
                raise problem
        for lane, status in zip(self.lanes, told, strict=True):
            if isinstance(status, ServerProblem):
                self.set_aside(lane, status)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for probe in self._probes:
            probe.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)
        await self._stack.aclose()

    @property
    def most(self) -> int:
        """Requests at once to all of them together."""
        return sum(lane.most for lane in self.lanes)

    @property
    def running(self) -> int:
        return sum(lane.running for lane in self.lanes)

    @property
    def _lost(self) -> bool:
        return all(lane.down for lane in self.lanes)

    @asynccontextmanager
    async def lane(self) -> AsyncIterator[Lane]:
        """A server that has room, waited for as long as it takes.

        Raises:
            NobodyLeft: all are set aside, and none came back in time.
        """
        lane = await self._free()
        lane.running += 1
        try:
            yield lane
        finally:
            lane.running -= 1
            await self._tell()

    async def _free(self) -> Lane:
        while True:
            now = time.monotonic()
            if found := [lane for lane in self.lanes if lane.free(now)]:
                return min(found, key=lambda lane: lane.load)
            waits = [lane.resumes - now for lane in self.lanes if lane.resumes > now]
            if self._lost and now > self._lost_at + self._patience_s:
                raise NobodyLeft
            try:
                async with asyncio.timeout(min(waits, default=1.0)), self._changed:
                    await self._changed.wait()
            except TimeoutError:
                pass  # its time has come, or patience is asked anew

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def refused(self, lane: Lane, sent: float, problem: ServerProblem) -> None:
        """It was too busy for what was sent at that time. A long wait is told."""
        lane.refused(sent, time.monotonic(), problem.retry_after_s)
        if (problem.retry_after_s or 0) > LONGEST_S:
            self._say(f"{lane.url} asks to wait {problem.retry_after_s:.0f} s: {problem.detail}")

    def set_aside(self, lane: Lane, problem: ServerProblem) -> None:
        """Send nothing there until it says that it is ready."""
        if lane.down:
            return
        lane.down = True
        if self._lost:
            self._lost_at = time.monotonic()
        self._say(f"{lane.url} is set aside: {problem.detail}")
        probe = asyncio.create_task(self._probe(lane))
        self._probes.add(probe)
        probe.add_done_callback(self._probes.discard)

    async def _probe(self, lane: Lane) -> None:
        pause = 0.5
        while lane.down:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_S)
            try:
                await self.clients[lane.url].ready()
            except ServerProblem:
                continue
            lane.returned()
        self._say(f"{lane.url} is back.")
        await self._tell()


def is_gone(problem: ServerProblem) -> bool:
    """Whether it says that there is no server, or soon none: not how busy it is."""
    return problem.unreachable or problem.code == "draining"


def _slots(status: Any) -> int:
    """As `/v1/status` tells it."""
    try:
        return max(1, int(status["slots"]["total"]))
    except (KeyError, TypeError, ValueError):
        return SLOTS
