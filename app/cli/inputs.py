"""What people name on a command line: files, globs, addresses, standard input."""

import glob
import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from app.client.form import Image, is_address

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Input:
    """One picture or document, and what to call it."""

    name: str
    image: Image


def inputs(words: list[str]) -> list[Input]:
    """All that is named, in its order.

    Raises:
        typer.BadParameter: one of them is not there. Nothing has been asked then.
    """
    return [one for word in words for one in _named(word)]


def _named(word: str) -> list[Input]:
    if word == STDIN:
        if sys.stdin.isatty():
            raise typer.BadParameter("`-` reads a picture from standard input: pipe one in.")
        return [Input("standard input", sys.stdin.buffer.read())]
    if is_address(word):
        return [Input(word, word)]
    path = Path(word)
    if path.is_dir():
        raise typer.BadParameter(
            f"{word} is a folder. Name its files ({word.rstrip('/')}/*.jpg), or use `batch`, which "
            "takes folders and goes on where it stopped."
        )
    if path.exists():
        return [Input(word, path)]
    found = sorted(glob.glob(word, recursive=True)) if glob.has_magic(word) else []  # noqa: PTH207
    files = [Path(one) for one in found if Path(one).is_file()]
    if not files:
        raise typer.BadParameter(
            f"Nothing matches {word}." if glob.has_magic(word) else f"There is no file {word}."
        )
    return [Input(str(file), file) for file in files]
