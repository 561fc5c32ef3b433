"""Looking at files and decoding them, in threads that are bounded to the cores: the loop never
waits, and a burst of photos does not take the machine."""

import asyncio
import hashlib
import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from app.images.decode import Prepared, prepare
from app.images.probe import Limits, Picture, plain, probe

# Bytes of a file that is only looked at, not decoded, for which a thread costs more than the work.
SMALL = 262_144
NICE = 10  # of the threads; the loop has 0


class Decoder:
    """Pillow lets go of the GIL, so as many threads as cores. Close it with `close`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, "images", _step_back)

    async def probe(self, files: Sequence[bytes], pages: str | None) -> tuple[Picture, ...]:
        """What the files hold, in their order; of documents the pages selected.

        Raises:
            Problem: as `images.probe` does, for the first file that is refused.
        """
        at_once: list[Picture] = []
        for index, data in enumerate(files):
            picture = plain(data, index, self._limits, pages) if len(data) <= SMALL else None
            if picture is None:
                break
            at_once.append(picture)
        else:
            return tuple(at_once)
        run = asyncio.get_running_loop().run_in_executor
        found = await asyncio.gather(
            *(
                run(self._threads, probe, data, index, self._limits, pages)
                for index, data in enumerate(files)
            )
        )
        return tuple(picture for pictures in found for picture in pictures)

    def prepare(
        self, picture: Picture, size: tuple[int, int], pad: tuple[int, int] = (0, 0)
    ) -> asyncio.Future[Prepared]:
        """The picture as the daemon gets it (see `images.decode`), when it is ready."""
        loop = asyncio.get_running_loop()
        if picture.sent_as_it_is(size) and len(picture.data) <= SMALL and not any(pad):
            ready: asyncio.Future[Prepared] = loop.create_future()
            ready.set_result(prepare(picture, size))
            return ready
        return loop.run_in_executor(self._threads, prepare, picture, size, pad)

    def digest(self, parts: Sequence[bytes | str]) -> asyncio.Future[bytes]:
        """One hash over all of it, when it is ready."""
        return asyncio.get_running_loop().run_in_executor(self._threads, _digest, parts)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _step_back() -> None:
    """Have the kernel prefer the loop to this thread (Linux has a niceness a thread, not only a
    process): answers go on while photos are decoded."""
    if sys.platform == "linux":
        with suppress(OSError):  # where the system forbids even that, it goes on as it is
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


def _digest(parts: Sequence[bytes | str]) -> bytes:
    whole = hashlib.blake2b(digest_size=32)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, "big"))
        whole.update(data)
    return whole.digest()
