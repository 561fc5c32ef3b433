"""Reads the engine's chunks with time limits, and retries before the first one."""

import asyncio
from contextlib import suppress
from typing import Self

import stamina

from app.engine.chat import Chat, Chunk, Lines
from app.engine.ollama import Ollama
from app.engine.watch import Watch
from app.errors import Problem, TransientEngineProblem

# Before the first token, loading and prompt processing may take long. After this time the engine's
# health is checked in parallel: it answers that at once, whatever else it does.
PATIENCE_S = 10.0
AGAIN_S = 0.1  # delay before the first retry

Chunks = list[Chunk]


class Stream:
    """One request to the engine. Use it as a context manager: leaving it ends the request.

    Args:
        stall_s: longest wait for a chunk after the first one, in seconds.
        deadline: seconds on the event loop's clock.
    """

    def __init__(self, ollama: Ollama, chat: Chat, stall_s: float, deadline: float) -> None:
        self._ollama = ollama
        self._chat = chat
        self._stall_s = stall_s
        self._watch = Watch(deadline, PATIENCE_S, self._ask_whether_it_lives)
        self._asking: asyncio.Task[None] | None = None
        self._lines: Lines | None = None

    async def __aenter__(self) -> Self:
        """Raises EngineUnavailable if the circuit breaker refuses the request."""
        self._ollama.breaker.enter()
        self._watch.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watch.stop()
        await self._leave()

    async def read(self) -> Chunks:
        """The chunks that have arrived; empty at the end.

        Raises:
            EngineInterrupted: the engine stalled or the connection was lost.
            DeadlineExceeded: the deadline has passed.
            Problem: the engine failed (`Ollama.chat`).
        """
        if self._lines:
            return await self._watch.wait(anext(self._lines, []))
        chunks = await self._first()
        if self._asking:
            self._asking.cancel()
        self._watch.narrow(self._stall_s)
        return chunks

    async def _first(self) -> Chunks:
        """The first chunks. A transient failure before them is retried: no output was sent yet, and
        a restarted engine is back within moments."""
        with suppress(TransientEngineProblem):
            return await self._try()
        await asyncio.sleep(AGAIN_S)
        retry = stamina.AsyncRetryingCaller(
            attempts=2, timeout=2.0, wait_initial=3 * AGAIN_S, wait_jitter=AGAIN_S
        )
        return await retry(TransientEngineProblem, self._try)

    async def _try(self) -> Chunks:
        try:
            return await self._watch.wait(self._begin())
        except BaseException:
            await self._leave()
            raise

    async def _begin(self) -> Chunks:
        self._lines = await self._ollama.chat(self._chat)
        return await anext(self._lines, [])

    def _ask_whether_it_lives(self) -> None:
        self._asking = asyncio.create_task(self._end_where_it_does_not())

    async def _end_where_it_does_not(self) -> None:
        try:
            await self._ollama.version()
        except Problem as problem:
            self._watch.end(problem)

    async def _leave(self) -> None:
        if self._asking:
            self._asking.cancel()
        if self._lines:
            await self._lines.aclose()
            self._lines = None
