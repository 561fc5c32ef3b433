"""Settings of malloc and the garbage collector, so that freed memory returns to the system."""

import asyncio
import ctypes
import gc
import resource
import sys
from collections.abc import Callable
from pathlib import Path

# mallopt(3) of glibc.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
MMAP_THRESHOLD_BYTES = 256 * 1024  # bytes; a larger buffer is mapped, and unmapped when it is freed
# Free bytes that the heap keeps at its end. With less, each request returns its pages and the next
# one faults them in again: 27 page faults, a tenth of the request's time.
TRIM_THRESHOLD_BYTES = 8 * 1024 * 1024
# Allocations minus deallocations between two collections. A request makes hundreds of objects and
# leaves no cycles.
GC_THRESHOLDS = (10_000, 20, 50)
CHECK_INTERVAL_S = 2.0  # between two checks of the resident memory
GROWTH_BYTES = 8 * 1024 * 1024  # growth in bytes since the last clean-up that starts the next one


def _libc() -> ctypes.CDLL | None:
    """The C library if it is glibc, else None."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return libc if hasattr(libc, "gnu_get_libc_version") else None


def configure_allocator() -> None:
    """Configure malloc for large buffers and the collector for fewer runs. Call once at start.

    glibc takes a freed large buffer as a sign to serve such buffers from the heap from then on,
    where one small object above them pins all of it; and each thread gets an arena of its own.
    """
    gc.set_threshold(*GC_THRESHOLDS)
    if libc := _libc():
        libc.mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES)
        libc.mallopt(M_ARENA_MAX, 2)


async def trim_periodically(resident_bytes: Callable[[], int] | None = None) -> None:
    """Every two seconds, collect and trim if the process grew, or if it became idle after that.

    Never returns. Objects that exist at the start are frozen, which takes a collection from 40 ms
    to 2 ms.

    Args:
        resident_bytes: returns the resident memory of the process in bytes.
    """
    libc = _libc()
    if libc is None:
        return
    resident_bytes = resident_bytes or _resident_bytes
    gc.collect()
    gc.freeze()
    least = last = clean = resident_bytes()
    while True:
        await asyncio.sleep(CHECK_INTERVAL_S)
        now = resident_bytes()
        if now > least + GROWTH_BYTES or now == last > clean:
            gc.collect()
            await asyncio.to_thread(libc.malloc_trim, 0)
            now = least = clean = resident_bytes()
        least = min(least, now)
        last = now


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
