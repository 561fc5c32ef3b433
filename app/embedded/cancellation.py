"""Cancellation of a job whose client has disconnected.

Native calls cannot be interrupted. Each call is bounded in time, and the job checks before it.
"""

import threading


class Cancelled(Exception):
    """The client of this job has disconnected."""


def raise_if_cancelled(cancelled: threading.Event) -> None:
    """Raises Cancelled if the event is set."""
    if cancelled.is_set():
        raise Cancelled
