"""Graceful shutdown: running requests finish, new ones are refused, then the process exits.

The first SIGTERM or SIGINT starts draining. `/ready` and new tasks answer 503 `draining` while the
server still accepts connections, so that load balancers notice and no client is cut off. The
server exits when no request runs any more, or after `drain_timeout_s`. A second signal ends it at
once.

The process exits at most `HARD_EXIT_S` later. It waits for no thread: a DNS server that does not
answer, or a hanging driver, would keep it alive for minutes.
"""

import asyncio
import atexit
import faulthandler
import os
import sys
from contextlib import suppress
from types import FrameType
from typing import NoReturn

import uvicorn

from app.engine.scheduler import Scheduler
from app.observability.logs import log

POLL_INTERVAL_S = 0.05
GRACEFUL_SHUTDOWN_S = 1  # grace for requests that still run at the deadline
SHUTDOWN_TIMEOUT_S = 1.5  # for that grace and the shutdown of the application together
HARD_EXIT_S = 1.9  # after which the process is ended from outside the event loop


class DrainingServer(uvicorn.Server):
    """uvicorn with draining; plain uvicorn refuses connections at the first signal."""

    def __init__(self, config: uvicorn.Config, drain_timeout_s: float) -> None:
        super().__init__(config)
        config.timeout_graceful_shutdown = GRACEFUL_SHUTDOWN_S
        self._drain_timeout_s = drain_timeout_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drain_task: asyncio.Task[None] | None = None

    async def serve(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Serve until a signal. Does not return: the process exits here."""
        await super().serve(sockets)  # type: ignore[arg-type]
        exit_now()

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)  # type: ignore[arg-type]

    async def shutdown(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        with suppress(TimeoutError):
            async with asyncio.timeout(SHUTDOWN_TIMEOUT_S):
                await super().shutdown(sockets)  # type: ignore[arg-type]
                await self._wait_until_idle(
                    SHUTDOWN_TIMEOUT_S
                )  # cancelled requests send their error to the client

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal. uvicorn's own handler raises the signal again at the end, so that a
        requested exit would count as a failure."""
        if self._loop is None or self._scheduler is None:  # still starting: nothing to finish
            exit_now()
        self._loop.call_soon_threadsafe(self._begin_drain)

    @property
    def _scheduler(self) -> Scheduler | None:
        pipeline = getattr(self.config.app.state, "pipeline", None)  # type: ignore[union-attr]
        return pipeline.scheduler if pipeline else None

    def _begin_drain(self) -> None:
        scheduler = self._scheduler
        if self._drain_task is not None or scheduler is None:
            schedule_hard_exit(HARD_EXIT_S)
            self.should_exit = self.force_exit = True
            return
        schedule_hard_exit(self._drain_timeout_s + HARD_EXIT_S)
        scheduler.draining = True
        log.info("draining", running=scheduler.running, waiting=scheduler.waiting)
        self._drain_task = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        await self._wait_until_idle(self._drain_timeout_s)
        self.should_exit = True

    async def _wait_until_idle(self, timeout_s: float) -> None:
        """Wait until no request runs, at most `timeout_s` seconds."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        # uvicorn keeps its tasks in a plain set, without an event for "empty".
        while self.server_state.tasks and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(POLL_INTERVAL_S)


def schedule_hard_exit(seconds: float) -> None:
    """Arm the last resort: a process that still runs after `seconds` exits with status 1 and
    writes the stack of each thread to standard error. Needs neither the event loop nor the GIL."""
    faulthandler.dump_traceback_later(seconds, exit=True)


def exit_now() -> NoReturn:
    """Exit with status 0 without waiting for threads."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(0)
