"""Where a command writes: answers to standard output, everything else to standard error."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Coroutine
from typing import Any

import typer
from rich.console import Console

from app.client.problem import ServerProblem

STOPPED = 130  # 128 + SIGINT, as shells say it
# No markup and no emoji codes: what a model or a file name says is text.
out = Console(markup=False, highlight=False, emoji=False)
err = Console(stderr=True, markup=False, highlight=False, emoji=False)

# A text could move the cursor, or do worse, with the codes that a terminal obeys.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(text: str) -> str:
    """Without what a terminal obeys instead of showing it."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n"))


def write(text: str) -> None:
    """A piece of an answer, at once, as it is: not wrapped, so that it can be copied."""
    sys.stdout.write(clean(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def say(text: str, style: str = "") -> None:
    """A sentence to standard error; above a bar, where there is one. A terminal breaks it between
    words, and nothing else breaks it at all."""
    err.print(clean(text), style=style, soft_wrap=not err.is_terminal)


def notice(text: str) -> None:
    """What somebody who watches wants to know."""
    say(text, "yellow")


def wrong(text: str) -> None:
    """What went wrong, and what to do."""
    say(text, "red")


def run(work: Coroutine[Any, Any, int]) -> None:
    """Do it to its end, which is the command's. Ctrl-C cancels what is under way."""
    try:
        status = asyncio.run(work)
    except KeyboardInterrupt:
        say("\nStopped.")
        status = STOPPED
    except BrokenPipeError:
        # As `head` ends it. What Python still wants to flush goes nowhere (its docs on SIGPIPE).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 128 + signal.SIGPIPE
    raise typer.Exit(status)


def sentence(problem: ServerProblem) -> str:
    """What is wrong and what to do, with the code that can be looked up."""
    told = problem.detail
    if problem.status == 401:
        told += " Here: --api-key KEY, or API_KEY in the environment."
    return clean(f"{told} [{problem.code}]" if problem.status else told)
