"""Waiting for what another thread or process does."""

import asyncio
import time
from collections.abc import Callable

HANG_S = 180.0  # guards only against a test that hangs: no machine is that slow
INTERVAL_S = 0.01


def wait_until(condition: Callable[[], bool], timeout_s: float = HANG_S) -> float:
    """Poll `condition` until it holds.

    Returns: how long that took, in seconds.
    Raises: AssertionError when it does not hold within `timeout_s` seconds.
    """
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s, f"not within {timeout_s} s"
        time.sleep(INTERVAL_S)
    return time.monotonic() - started


async def wait_until_async(condition: Callable[[], bool], timeout_s: float = HANG_S) -> float:
    """As `wait_until`, while the event loop runs."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s, f"not within {timeout_s} s"
        await asyncio.sleep(INTERVAL_S)
    return time.monotonic() - started
