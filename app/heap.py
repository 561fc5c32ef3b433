"""The heap: pictures are large and short-lived, and freed memory is to go back to the system."""

import asyncio
import ctypes
import gc
import resource
import sys
from collections.abc import Callable
from pathlib import Path

# mallopt(3) of glibc.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
LARGE = 256 * 1024  # bytes from which a buffer has pages of its own
# Bytes that the heap keeps free at its end. With less, each request gives its pages back and the
# next one faults them in again: 27 faults, and as long as a tenth of the request.
SPARE = 8 * 1024 * 1024
# More objects than were freed, between two collections: a request makes hundreds, and leaves no
# cycles behind.
OBJECTS = (10_000, 20, 50)
LOOKS_S = 2.0  # between two looks at how much there is
GREW = 8 * 1024 * 1024  # bytes more than after the last cleaning, from which it is done again


def _libc() -> ctypes.CDLL | None:
    """The C library where it is glibc."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return libc if hasattr(libc, "gnu_get_libc_version") else None


def settle() -> None:
    """Set malloc for large buffers, and have the collector look less often; once, when the process
    starts. Only glibc needs the first.

    It takes a large buffer that was freed as a sign to put such buffers onto the heap from then
    on, where one small object above them keeps all of it; and each thread has a heap of its own.
    """
    gc.set_threshold(*OBJECTS)
    if libc := _libc():
        libc.mallopt(M_MMAP_THRESHOLD, LARGE)
        libc.mallopt(M_TRIM_THRESHOLD, SPARE)
        libc.mallopt(M_ARENA_MAX, 2)


async def keep_small(resident: Callable[[], int] | None = None) -> None:
    """Look every two seconds whether the process grew, and clean up where it did, or where it has
    become quiet after that; never ends.

    What runs when this begins is there to stay, and is not looked through again: a collection
    then takes 2 ms instead of 40.

    Args:
        resident: bytes of memory that the process has.
    """
    libc = _libc()
    if libc is None:
        return
    resident = resident or _resident
    gc.collect()
    gc.freeze()
    least = last = clean = resident()
    while True:
        await asyncio.sleep(LOOKS_S)
        now = resident()
        if now > least + GREW or now == last > clean:
            gc.collect()
            await asyncio.to_thread(libc.malloc_trim, 0)
            now = least = clean = resident()
        least = min(least, now)
        last = now


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
