"""Runs several event sources concurrently and emits their events in order."""

import asyncio
from collections.abc import Sequence

from app.engine.events import Emit, EventSource, EventT


async def run_ordered(
    sources: Sequence[EventSource[EventT]], max_concurrent: int, emit: Emit[EventT]
) -> None:
    """Emit all events of the first source, then all of the second, and so on.

    At most `max_concurrent` sources run at the same time. Events of later sources are buffered. The
    error of a source is raised after its events and cancels the other sources.
    """
    if len(sources) == 1:
        await sources[0](emit)
        return
    queues: list[asyncio.Queue[EventT | None]] = [asyncio.Queue() for _ in sources]
    semaphore = asyncio.Semaphore(max_concurrent)

    async def run(source: EventSource[EventT], queue: asyncio.Queue[EventT | None]) -> None:
        try:
            async with semaphore:
                await source(queue.put)
        finally:
            queue.put_nowait(None)

    running = [
        asyncio.create_task(run(source, queue))
        for source, queue in zip(sources, queues, strict=True)
    ]
    try:
        for task, queue in zip(running, queues, strict=True):
            while (item := await queue.get()) is not None:
                await emit(item)
            await task
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
