"""Wait for what another process does."""

import time
from collections.abc import Callable

LOOKS_S = 0.01


def until(condition: Callable[[], bool], seconds: float) -> float:
    """Wait until it holds; how long that took, in seconds. Fails where it does not hold in time."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"not within {seconds} s"
        time.sleep(LOOKS_S)
    return time.monotonic() - started
