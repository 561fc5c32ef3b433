"""How the server ends: what runs is finished, what is new is refused, then it is over.

A first SIGTERM or SIGINT drains: `/ready` and new tasks are 503 `draining` while connections are
still taken, so that whoever balances the load sees it and nobody is cut off. It ends when nothing
runs any more, or after `drain_timeout_s`. A second signal ends it at once.

The process is over at most `END_S` after that. It waits for no thread: a name server that does not
answer, or a driver in trouble, would keep it for minutes.
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

from app.engine.gate import Gate
from app.logs import log

STEP_S = 0.05
LAST_S = 1  # for what is still running when the time is over
CLOSE_S = 1.5  # for that, and for the parts of the application to close
END_S = 1.9  # after which the process is ended from outside of the event loop


class DrainingServer(uvicorn.Server):
    """uvicorn, which by itself refuses connections at the first signal and cuts at the second."""

    def __init__(self, config: uvicorn.Config, drain_timeout_s: float) -> None:
        super().__init__(config)
        config.timeout_graceful_shutdown = LAST_S
        self._drain_timeout_s = drain_timeout_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining: asyncio.Task[None] | None = None

    async def serve(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Serve until a signal; the process ends here then."""
        await super().serve(sockets)  # type: ignore[arg-type]
        leave()

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)  # type: ignore[arg-type]

    async def shutdown(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await super().shutdown(sockets)  # type: ignore[arg-type]

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """On a signal. (uvicorn's own raises it again at the end: ending when asked to would be
        a failure.)"""
        if self._loop is None or self._gate is None:  # still starting: nothing is to be finished
            leave()
        self._loop.call_soon_threadsafe(self._begin)

    @property
    def _gate(self) -> Gate | None:
        line = getattr(self.config.app.state, "line", None)  # type: ignore[union-attr]
        return line.gate if line else None

    def _begin(self) -> None:
        gate = self._gate
        if self._draining is not None or gate is None:
            arm(END_S)
            self.should_exit = self.force_exit = True
            return
        arm(self._drain_timeout_s + END_S)
        gate.draining = True
        log.info("draining", running=gate.running, waiting=gate.waiting)
        self._draining = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        deadline = asyncio.get_running_loop().time() + self._drain_timeout_s
        # uvicorn keeps its tasks in a set that tells nobody when it is empty.
        while self.server_state.tasks and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(STEP_S)
        self.should_exit = True


def arm(seconds: float) -> None:
    """The last resort: unless the process has ended by itself after so many seconds, it ends with
    status 1, and standard error tells where each thread was. It needs neither the event loop nor
    Python's lock."""
    faulthandler.dump_traceback_later(seconds, exit=True)


def leave() -> NoReturn:
    """End the process with status 0, and wait for no thread of it."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(0)
