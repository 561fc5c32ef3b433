"""The loaded models and the worker threads that use them."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from app.embedded import models
from app.embedded.models import Models

CORES = os.cpu_count() or 1
THREADS_PER_INFERENCE = min(2, CORES)  # one line of text gains little from more
SLOTS = max(1, CORES // THREADS_PER_INFERENCE)

Job = Callable[[Models, threading.Event], Iterator[str]]


class Engine:
    """Runs at most `SLOTS` jobs at once, each in a thread. Other jobs wait in order of arrival."""

    def __init__(self) -> None:
        self._models: Models | None = None
        self._loading = asyncio.Lock()
        self._slots = asyncio.Semaphore(SLOTS)
        self._threads = ThreadPoolExecutor(SLOTS + 1, "embedded")  # one more for loading

    @property
    def loaded(self) -> bool:
        return self._models is not None

    async def load(self) -> Models:
        """Loads the models unless they are loaded.

        Raises:
            WeightsError: a weights file is missing or damaged.
        """
        async with self._loading:
            if self._models is None:
                loop = asyncio.get_running_loop()
                self._models = await loop.run_in_executor(
                    self._threads, models.load, THREADS_PER_INFERENCE
                )
            return self._models

    def unload(self) -> None:
        """Drops the models. Running jobs keep theirs until they end."""
        self._models = None

    @asynccontextmanager
    async def slot(self) -> AsyncIterator["Slot"]:
        """Waits for a slot. The slot is released when its job has ended, which can be shortly
        after this context ends."""
        await self._slots.acquire()
        slot = Slot(self._threads)
        try:
            yield slot
        finally:
            slot.cancelled.set()
            if slot.thread is None:
                self._slots.release()
            else:
                slot.thread.add_done_callback(self._release)

    def _release(self, thread: "asyncio.Future[None]") -> None:
        self._slots.release()
        if not thread.cancelled():
            thread.exception()  # retrieved, so that asyncio does not log it

    def close(self) -> None:
        """Accepts no more jobs. A running job ends at its next check for cancellation."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Slot:
    """Permission to run one job."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads
        self.cancelled = threading.Event()
        self.thread: asyncio.Future[None] | None = None

    async def run(self, job: Job, models: Models) -> AsyncIterator[str]:
        """Yields what the job yields as it arrives. Raises what the job raises."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | None] = asyncio.Queue()

        def run_job() -> None:
            try:
                for piece in job(models, self.cancelled):
                    loop.call_soon_threadsafe(queue.put_nowait, piece)
            finally:
                loop.call_soon_threadsafe(queue.put_nowait, None)

        self.thread = loop.run_in_executor(self._threads, run_job)
        while (piece := await queue.get()) is not None:
            yield piece
        await self.thread
