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

EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells say it
# No markup and no emoji codes: what a model or a file name says is text.
out = Console(markup=False, highlight=False, emoji=False)
err = Console(stderr=True, markup=False, highlight=False, emoji=False)

# A text could move the cursor, or do worse, with the codes that a terminal obeys.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def strip_controls(text: str) -> str:
    """Without what a terminal obeys instead of showing it."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n"))


def write(text: str) -> None:
    """A piece of an answer, at once, as it is: not wrapped, so that it can be copied."""
    sys.stdout.write(strip_controls(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def print_message(text: str, style: str = "") -> None:
    """A sentence to standard error; above a bar, where there is one. A terminal breaks it between
    words, and nothing else breaks it at all."""
    err.print(strip_controls(text), style=style, soft_wrap=not err.is_terminal)


def print_warning(text: str) -> None:
    """What somebody who watches wants to know."""
    print_message(text, "yellow")


def print_error(text: str) -> None:
    """What went wrong, and what to do."""
    print_message(text, "red")


def run_command(work: Coroutine[Any, Any, int]) -> None:
    """Do it to its end, which is the command's. Ctrl-C cancels what is under way."""
    try:
        status = asyncio.run(work)
    except KeyboardInterrupt:
        print_message("\nStopped.")
        status = EXIT_INTERRUPTED
    except BrokenPipeError:
        # As `head` ends it. What Python still wants to flush goes nowhere (its docs on SIGPIPE).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 128 + signal.SIGPIPE
    raise typer.Exit(status)


def error_message(problem: ServerProblem) -> str:
    """What is wrong and what to do, with the code that can be looked up."""
    text = problem.detail
    if problem.status == 401:
        text += " Here: --api-key KEY, or API_KEY in the environment."
    return strip_controls(f"{text} [{problem.code}]" if problem.status else text)
