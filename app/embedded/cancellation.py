"""How a work ends when nobody waits for it: native calls cannot be interrupted, so that each is
bounded, and a check stands before it."""

import threading


class Cancelled(Exception):
    """Nobody waits for this work any more."""


def raise_if_cancelled(cancelled: threading.Event) -> None:
    """Raises Cancelled where it was set."""
    if cancelled.is_set():
        raise Cancelled
