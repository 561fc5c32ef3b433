"""Several streams at once, written one after another."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeVar

Item = TypeVar("Item")


async def in_order(
    streams: Sequence[AsyncGenerator[Item, None]], at_once: int
) -> AsyncGenerator[Item, None]:
    """All items of the first stream, then all of the second, and so on; `at_once` of them run.

    What a later stream says before its turn is kept. An error comes at its stream's turn, and
    ends the others; so does closing this generator.
    """
    if len(streams) == 1:
        async with aclosing(streams[0]) as alone:
            async for one in alone:
                yield one
        return
    queues: list[asyncio.Queue[Item | None]] = [asyncio.Queue() for _ in streams]
    allowed = asyncio.Semaphore(at_once)

    async def pump(stream: AsyncGenerator[Item, None], queue: asyncio.Queue[Item | None]) -> None:
        try:
            async with allowed, aclosing(stream) as items:
                async for item in items:
                    queue.put_nowait(item)
        finally:
            queue.put_nowait(None)

    pumps = [
        asyncio.create_task(pump(stream, queue))
        for stream, queue in zip(streams, queues, strict=True)
    ]
    try:
        for task, queue in zip(pumps, queues, strict=True):
            while (item := await queue.get()) is not None:
                yield item
            await task
    finally:
        for task in pumps:
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
