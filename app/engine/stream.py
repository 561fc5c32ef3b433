"""The engine's chunks as they come, none of them waited for too long."""

import asyncio
from contextlib import suppress
from typing import Self

import stamina

from app.engine.chat import Chat, Chunk, Lines
from app.engine.ollama import Ollama
from app.engine.watch import Watch
from app.errors import Problem, TransientEngineProblem

# Before the first token a model may load and read for long. Whether the engine lives is then
# asked by the way: it answers that at once, whatever else it does.
PATIENCE_S = 10.0
AGAIN_S = 0.1  # before a second try

Chunks = list[Chunk]


class Stream:
    """One request to the engine. Use it as a context: leaving it ends the request.

    Args:
        stall_s: the longest silence after the first chunk.
        deadline: on the event loop's clock, in seconds.
    """

    def __init__(self, ollama: Ollama, chat: Chat, stall_s: float, deadline: float) -> None:
        self._ollama = ollama
        self._chat = chat
        self._stall_s = stall_s
        self._watch = Watch(deadline, PATIENCE_S, self._ask_whether_it_lives)
        self._asking: asyncio.Task[None] | None = None
        self._lines: Lines | None = None

    async def __aenter__(self) -> Self:
        """Raises EngineUnavailable where the engine need not be asked now."""
        self._ollama.breaker.enter()
        self._watch.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watch.stop()
        await self._leave()

    async def read(self) -> Chunks:
        """What has come together; empty at the end.

        Raises:
            EngineInterrupted: the engine fell silent.
            DeadlineExceeded: it was not done in time.
            Problem: as `Ollama.chat` does.
        """
        if self._lines:
            return await self._watch.wait(anext(self._lines, []))
        chunks = await self._first()
        if self._asking:
            self._asking.cancel()
        self._watch.narrow(self._stall_s)
        return chunks

    async def _first(self) -> Chunks:
        """What breaks before the first chunk is tried again: nobody has seen anything of it yet,
        and an engine that was just started again is back in a moment."""
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
