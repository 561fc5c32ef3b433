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
    with Watch(deadline) as opening:
        stream, first = await opening.wait(_opened(ollama, chat))
    async with aclosing(stream):
        with Watch(deadline, stall_s) as watch:
            chunks = first
            while chunks:
                yield chunks
                chunks = await watch.wait(anext(stream, None))


Opened = tuple[AsyncGenerator[Chunks, None], Chunks | None]


async def _opened(ollama: Ollama, chat: Chat) -> Opened:
    """A stream and its first chunks. What breaks before that is tried again: nobody has seen
    anything of it yet, and an engine that was just started again is back in a moment."""
    try:
        return await _tried(ollama, chat)
    except Problem as problem:
        if not _passes(problem):
            raise
    await asyncio.sleep(AGAIN_S)
    tries = stamina.retry_context(
        on=_passes, attempts=2, timeout=2.0, wait_initial=3 * AGAIN_S, wait_jitter=AGAIN_S
    )
    async for attempt in tries:
        with attempt:
            return await _tried(ollama, chat)
    raise AssertionError("the last try returns or raises")


async def _tried(ollama: Ollama, chat: Chat) -> Opened:
    stream = ollama.chat(chat)
    try:
        return stream, await _first(stream, ollama)
    except BaseException:
        await stream.aclose()
        raise


def _passes(problem: Exception) -> bool:
    """Whether it may be over with the next try; a model that does not load stays so."""
    return type(problem) in (EngineUnavailable, EngineInterrupted)


async def _first(stream: AsyncGenerator[Chunks, None], ollama: Ollama) -> Chunks | None:
    """The first chunks, for as long as the engine lives."""
    coming = asyncio.ensure_future(anext(stream, None))
    try:
        while not (await asyncio.wait((coming,), timeout=PATIENCE_S))[0]:
            await ollama.version()
        return coming.result()
    finally:
        if not coming.done():
            coming.cancel()
            await asyncio.wait((coming,))
