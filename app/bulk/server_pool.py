"""The servers of a batch: the least busy one is next, and one that is down is probed."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self

from app.bulk.concurrency_limit import MAX_PAUSE_S, ConcurrencyLimit
from app.client.client import Client
from app.client.problem import ServerProblem

# One request is prepared and one is sent while the others are answered. More would only wait in the
# queue, in front of interactive users.
EXTRA_REQUESTS = 2
DEFAULT_SLOTS = 4  # if a server does not report its slots


class NoServerLeft(Exception):
    """No server answered within the patience of the run."""


class ServerPool:
    """Use it in `async with`; `acquire` then gives one server for one request.

    Args:
        max_per_server: concurrent requests per server; 0: its slots and EXTRA_REQUESTS.
        patience_s: how long to wait while all servers are down, in seconds.
        emit: receives a message when a server goes down or is ready again.
    """

    def __init__(
        self,
        urls: Sequence[str],
        api_key: str,
        max_per_server: int = 0,
        patience_s: float = 600.0,
        emit: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.clients = {url: Client(url, api_key) for url in urls}
        self.limits: list[ConcurrencyLimit] = []
        self._max_per_server, self._patience_s, self._emit = max_per_server, patience_s, emit
        self._changed = asyncio.Condition()
        self._probes: set[asyncio.Task[None]] = set()
        self._stack = AsyncExitStack()
        self._all_down_since = 0.0  # monotonic time, in seconds

    async def __aenter__(self) -> Self:
        """Raises ServerProblem if no server answers, or if one refuses the API key."""
        for client in self.clients.values():
            await self._stack.enter_async_context(client)
        statuses = await asyncio.gather(
            *(client.status() for client in self.clients.values()), return_exceptions=True
        )
        problems = []
        for url, status in zip(self.clients, statuses, strict=True):
            if isinstance(status, ServerProblem):
                problems.append(status)
            elif isinstance(status, BaseException):
                raise status
            self.limits.append(
                ConcurrencyLimit(url, self._max_per_server or _slot_count(status) + EXTRA_REQUESTS)
            )
        for problem in problems:
            if len(problems) == len(self.limits) or not problem.temporary:
                await self._stack.aclose()
                raise problem
        for limit, status in zip(self.limits, statuses, strict=True):
            if isinstance(status, ServerProblem):
                self.mark_down(limit, status)
        return self

    async def __aexit__(self, *_: object) -> None:
        for probe in self._probes:
            probe.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)
        await self._stack.aclose()

    @property
    def capacity(self) -> int:
        """Maximum concurrent requests to all servers together."""
        return sum(limit.maximum for limit in self.limits)

    @property
    def running(self) -> int:
        return sum(limit.running for limit in self.limits)

    @property
    def _all_down(self) -> bool:
        return all(limit.down for limit in self.limits)

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[ConcurrencyLimit]:
        """Wait for a server with room and count one request on it.

        Raises:
            NoServerLeft: all servers are down, and none came back within `patience_s`.
        """
        limit = await self._wait_for_room()
        limit.running += 1
        try:
            yield limit
        finally:
            limit.running -= 1
            await self._notify_waiters()

    async def _wait_for_room(self) -> ConcurrencyLimit:
        while True:
            now = time.monotonic()
            if found := [limit for limit in self.limits if limit.has_room(now)]:
                return min(found, key=lambda limit: limit.load)
            waits = [limit.resume_at - now for limit in self.limits if limit.resume_at > now]
            if self._all_down and now > self._all_down_since + self._patience_s:
                raise NoServerLeft
            try:
                async with asyncio.timeout(min(waits, default=1.0)), self._changed:
                    await self._changed.wait()
            except TimeoutError:
                pass  # a pause is over, or the patience is checked again

    async def _notify_waiters(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def on_refusal(self, limit: ConcurrencyLimit, sent: float, problem: ServerProblem) -> None:
        """The server refused a request sent at that time. A long Retry-After is reported."""
        limit.on_refusal(sent, time.monotonic(), problem.retry_after_s)
        if (problem.retry_after_s or 0) > MAX_PAUSE_S:
            self._emit(f"{limit.url} asks to wait {problem.retry_after_s:.0f} s: {problem.detail}")

    def mark_down(self, limit: ConcurrencyLimit, problem: ServerProblem) -> None:
        """Send no requests there until `/ready` succeeds."""
        if limit.down:
            return
        limit.down = True
        if self._all_down:
            self._all_down_since = time.monotonic()
        self._emit(f"{limit.url} gets no requests until it is ready again: {problem.detail}")
        probe = asyncio.create_task(self._probe(limit))
        self._probes.add(probe)
        probe.add_done_callback(self._probes.discard)

    async def _probe(self, limit: ConcurrencyLimit) -> None:
        pause = 0.5
        while limit.down:
            await asyncio.sleep(pause)
            pause = min(2 * pause, MAX_PAUSE_S)
            try:
                await self.clients[limit.url].ready()
            except ServerProblem:
                continue
            limit.on_recovery()
        self._emit(f"{limit.url} is ready again.")
        await self._notify_waiters()


def is_server_down(problem: ServerProblem) -> bool:
    """Whether the server is unreachable or shutting down, as opposed to busy."""
    return problem.unreachable or problem.code == "draining"


def _slot_count(status: Any) -> int:
    """The number of slots in a response of `/v1/status`."""
    try:
        return max(1, int(status["slots"]["total"]))
    except (KeyError, TypeError, ValueError):
        return DEFAULT_SLOTS
