"""How much CPU a piece of work takes."""

import time
from collections.abc import Callable
from contextlib import suppress

from app.errors import Problem

MOST_S = 1.0  # of this thread's own CPU: what is tested took 2 s to hours before it was bounded


def cost_s(work: Callable[[], object]) -> float:
    """Seconds of this thread's CPU, which a busy machine hardly changes. A refusal is an answer;
    any other exception is not."""
    started = time.thread_time()
    with suppress(Problem):
        work()
    return time.thread_time() - started
