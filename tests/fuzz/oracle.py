"""What an input may cost, and what may come of it."""

import time
from collections.abc import Callable

from app.errors import Problem

MOST_S = 0.25  # of CPU, for whatever 256 kB of text stand for


class Found(AssertionError):
    """An input that costs too much, or is no Problem where it fails."""


def run(target: Callable[[bytes], Callable[[], object]], data: bytes) -> None:
    """Raises Found. What costs too much is tried again: the first call compiles and imports."""
    for last in (False, True):
        work = target(data)
        started = time.thread_time()
        try:
            work()
        except Problem:
            pass
        except Exception as error:
            raise Found(f"{type(error).__name__}: {str(error)[:200]}") from error
        spent = time.thread_time() - started
        if spent <= MOST_S:
            return
        if last:
            raise Found(f"{spent:.2f} s")
