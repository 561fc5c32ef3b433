"""Several works at once, what they say written one after another."""

import asyncio
from collections.abc import Sequence

from app.engine.events import Said, Say, Work


async def in_order(works: Sequence[Work[Said]], at_once: int, say: Say[Said]) -> None:
    """Say all that the first work says, then all of the second, and so on; `at_once` of them run.

    What a later work says before its turn is kept. An error comes at its work's turn, and ends
    the others.
    """
    if len(works) == 1:
        await works[0](say)
        return
    queues: list[asyncio.Queue[Said | None]] = [asyncio.Queue() for _ in works]
    allowed = asyncio.Semaphore(at_once)

    async def run(work: Work[Said], queue: asyncio.Queue[Said | None]) -> None:
        try:
            async with allowed:
                await work(queue.put)
        finally:
            queue.put_nowait(None)

    running = [
        asyncio.create_task(run(work, queue)) for work, queue in zip(works, queues, strict=True)
    ]
    try:
        for task, queue in zip(running, queues, strict=True):
            while (item := await queue.get()) is not None:
                await say(item)
            await task
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
