"""Reads the engine's chunks with time limits, and retries before the first one."""

import asyncio
from contextlib import suppress
from typing import Self

import stamina

from app.engine.chat import Chat, Chunk, ChunkStream
from app.engine.client import OllamaClient
from app.engine.deadline import Watchdog
from app.errors import Problem, TransientEngineProblem

# Before the first token, loading and prompt processing may take long. After this time the engine's
# health is checked in parallel: it answers that at once, whatever else it does.
LIVENESS_CHECK_S = 10.0
RETRY_DELAY_S = 0.1  # delay before the first retry

Chunks = list[Chunk]


class EngineStream:
    """One request to the engine, sent by the first `read`. Use it as a context manager: leaving it
    ends the request.

    Args:
        stall_s: longest wait for a chunk after the first one, in seconds.
        deadline: seconds on the event loop's clock.
    """

    def __init__(self, ollama: OllamaClient, chat: Chat, stall_s: float, deadline: float) -> None:
        self._ollama = ollama
        self._chat = chat
        self._stall_s = stall_s
        self._watchdog = Watchdog(deadline, LIVENESS_CHECK_S, self._start_liveness_check)
        self._liveness_check: asyncio.Task[None] | None = None
        self._chunk_stream: ChunkStream | None = None

    async def __aenter__(self) -> Self:
        """Raises EngineUnavailable if the circuit breaker refuses the request."""
        self._ollama.breaker.before_request()
        self._watchdog.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watchdog.stop()
        await self._close()

    async def read(self) -> Chunks:
        """The chunks that have arrived; empty at the end.

        Raises:
            EngineInterrupted: the engine stalled or the connection was lost.
            DeadlineExceeded: the deadline has passed.
            Problem: the engine failed (`OllamaClient.chat`).
        """
        if self._chunk_stream:
            return await self._watchdog.wait(anext(self._chunk_stream, []))
        chunks = await self._read_first()
        if self._liveness_check:
            self._liveness_check.cancel()
        self._watchdog.set_stall_timeout(self._stall_s)
        return chunks

    async def _read_first(self) -> Chunks:
        """The first chunks. A transient failure before them is retried: no output was sent yet, and
        a restarted engine is back within moments."""
        with suppress(TransientEngineProblem):
            return await self._attempt()
        await asyncio.sleep(RETRY_DELAY_S)
        retry = stamina.AsyncRetryingCaller(
            attempts=2, timeout=2.0, wait_initial=3 * RETRY_DELAY_S, wait_jitter=RETRY_DELAY_S
        )
        return await retry(TransientEngineProblem, self._attempt)

    async def _attempt(self) -> Chunks:
        try:
            return await self._watchdog.wait(self._open())
        except BaseException:
            await self._close()
            raise

    async def _open(self) -> Chunks:
        self._chunk_stream = await self._ollama.chat(self._chat)
        return await anext(self._chunk_stream, [])

    def _start_liveness_check(self) -> None:
        self._liveness_check = asyncio.create_task(self._abort_if_dead())

    async def _abort_if_dead(self) -> None:
        try:
            await self._ollama.version()
        except Problem as problem:
            self._watchdog.abort(problem)

    async def _close(self) -> None:
        if self._liveness_check:
            self._liveness_check.cancel()
        if self._chunk_stream:
            await self._chunk_stream.aclose()
            self._chunk_stream = None
