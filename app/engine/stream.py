"""The engine's chunks as they come, none of them waited for too long."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import stamina

from app.engine.ollama import Chat, Chunk, Ollama
from app.engine.watch import Watch
from app.errors import EngineInterrupted, EngineUnavailable, Problem

# Before the first token a model may load and read for long. Whether the engine lives is then
# asked by the way: it answers that at once, whatever else it does.
PATIENCE_S = 10.0
AGAIN_S = 0.1  # before a second try

Chunks = list[Chunk]


async def stream(
    ollama: Ollama, chat: Chat, stall_s: float, deadline: float
) -> AsyncGenerator[Chunks, None]:
    """What has come together, each time something has.

    Args:
        stall_s: the longest silence after the first chunk.
        deadline: on the event loop's clock, in seconds.

    Raises:
        EngineInterrupted: the engine fell silent.
        DeadlineExceeded: it was not done in time.
        Problem: as `Ollama.chat` does.
    """
    ollama.breaker.enter()
    with Watch(deadline) as watch:
        stream, chunks = await _opened(ollama, chat, watch)
        async with aclosing(stream):
            watch.narrow(stall_s)
            while chunks:
                yield chunks
                chunks = await watch.wait(anext(stream, None))


Opened = tuple[AsyncGenerator[Chunks, None], Chunks | None]


async def _opened(ollama: Ollama, chat: Chat, watch: Watch) -> Opened:
    """A stream and its first chunks. What breaks before that is tried again: nobody has seen
    anything of it yet, and an engine that was just started again is back in a moment."""
    try:
        return await _tried(ollama, chat, watch)
    except Problem as problem:
        if not _passes(problem):
            raise
    await asyncio.sleep(AGAIN_S)
    tries = stamina.retry_context(
        on=_passes, attempts=2, timeout=2.0, wait_initial=3 * AGAIN_S, wait_jitter=AGAIN_S
    )
    async for attempt in tries:
        with attempt:
            return await _tried(ollama, chat, watch)
    raise AssertionError("the last try returns or raises")


async def _tried(ollama: Ollama, chat: Chat, watch: Watch) -> Opened:
    stream = ollama.chat(chat)
    try:
        with _Vigil(ollama, watch):
            return stream, await watch.wait(anext(stream, None))
    except BaseException:
        await stream.aclose()
        raise


def _passes(problem: Exception) -> bool:
    """Whether it may be over with the next try; a model that does not load stays so."""
    return type(problem) in (EngineUnavailable, EngineInterrupted)


class _Vigil:
    """Asks now and then whether the engine lives, and ends the wait where it does not. A timer,
    which costs less than a task that waits beside."""

    def __init__(self, ollama: Ollama, watch: Watch) -> None:
        self._ollama = ollama
        self._watch = watch
        self._asking: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(PATIENCE_S, self._ask)

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._asking:
            self._asking.cancel()

    def _ask(self) -> None:
        self._asking = asyncio.create_task(self._asked())

    async def _asked(self) -> None:
        try:
            await self._ollama.version()
        except Problem as problem:
            self._watch.end(problem)
        else:
            self.__enter__()
