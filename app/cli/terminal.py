"""Terminal output: answers go to standard output, messages to standard error."""

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

EXIT_INTERRUPTED = 130  # 128 + SIGINT, as in shells
# No markup and no emoji codes: answers and file names are plain text.
out = Console(markup=False, highlight=False, emoji=False)
err = Console(stderr=True, markup=False, highlight=False, emoji=False)

# Control characters, which would let an answer move the cursor or change the terminal.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def strip_controls(text: str) -> str:
    """Remove control characters, except tabs and newlines."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n"))


def write(text: str) -> None:
    """Write a part of an answer at once, without wrapping, so that it can be copied."""
    sys.stdout.write(strip_controls(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def print_message(text: str, style: str = "") -> None:
    """Print a message to standard error, above a progress bar if there is one.

    It is wrapped only on a terminal.
    """
    err.print(strip_controls(text), style=style, soft_wrap=not err.is_terminal)


def print_warning(text: str) -> None:
    """Print a warning or a note to standard error."""
    print_message(text, "yellow")


def print_error(text: str) -> None:
    """Print an error to standard error."""
    print_message(text, "red")


def run_command(work: Coroutine[Any, Any, int]) -> None:
    """Run a command and exit with its status. Ctrl-C cancels the requests that are running."""
    try:
        status = asyncio.run(work)
    except KeyboardInterrupt:
        print_message("\nStopped.")
        status = EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, is gone: discard what Python still flushes at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 128 + signal.SIGPIPE
    raise typer.Exit(status)


def error_message(problem: ServerProblem) -> str:
    """The detail of a problem with its code, and how to give an API key."""
    text = problem.detail
    if problem.status == 401:
        text += " With this command: --api-key KEY, or API_KEY in the environment."
    return strip_controls(f"{text} [{problem.code}]" if problem.status else text)
