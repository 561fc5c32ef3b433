"""Runs several works concurrently and emits their events in order."""

import asyncio
from collections.abc import Sequence

from app.engine.events import Said, Say, Work


async def in_order(works: Sequence[Work[Said]], at_once: int, say: Say[Said]) -> None:
    """Emit all events of the first work, then all of the second, and so on.

    At most `at_once` works run at the same time. Events of later works are buffered. The error of
    a work is raised after its events and cancels the other works.
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
