"""May it run now? As many requests at the daemon as it has slots; the rest wait in line.

The daemon itself queues without bound, and says nothing while it does (findings).
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.errors import QueueFull

FIRST_GUESS_S = 5.0  # the service time before one was measured


class Gate:
    """Slots and a bounded queue, first come first served."""

    def __init__(self, slots: int, max_queue: int) -> None:
        self.slots = slots
        self.max_queue = max_queue
        self.waiting = 0
        self.running = 0
        self._free = asyncio.Semaphore(slots)
        self._service_s = FIRST_GUESS_S

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[float]:
        """Hold a slot; yields the milliseconds that it took to get it.

        Raises:
            QueueFull: with the seconds after which a place should be free.
        """
        if self._free.locked() and self.waiting >= self.max_queue:
            wait_s = self._service_s * (self.waiting + 1) / self.slots
            raise QueueFull(
                f"{self.running} requests run and {self.waiting} wait, which is all that this "
                f"server takes. Try again in about {max(1, round(wait_s))} s.",
                retry_after_s=wait_s,
            )
        asked = time.perf_counter()
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
        started = time.perf_counter()
        self.running += 1
        try:
            yield (started - asked) * 1e3
        finally:
            self.running -= 1
            self._free.release()
            self._service_s += 0.2 * (time.perf_counter() - started - self._service_s)
