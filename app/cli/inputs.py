"""The inputs on a command line: files, globs, URLs, standard input."""

import glob
import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from app.client.request_body import Image, is_url

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Input:
    """One image or document and its display name."""

    name: str
    image: Image


def expand_inputs(names: list[str]) -> list[Input]:
    """All named inputs, in order.

    Raises:
        typer.BadParameter: one of them does not exist; raised before any request.
    """
    return [one for name in names for one in _expand(name)]


def _expand(name: str) -> list[Input]:
    if name == STDIN:
        if sys.stdin.isatty():
            raise typer.BadParameter("`-` reads an image from standard input: pipe one in.")
        return [Input("standard input", sys.stdin.buffer.read())]
    if is_url(name):
        return [Input(name, name)]
    path = Path(name)
    if path.is_dir():
        raise typer.BadParameter(
            f"{name} is a folder. Name its files ({name.rstrip('/')}/*.jpg), or use `batch`, which "
            "accepts folders and can be resumed."
        )
    if path.exists():
        return [Input(name, path)]
    found = sorted(glob.glob(name, recursive=True)) if glob.has_magic(name) else []  # noqa: PTH207
    files = [Path(one) for one in found if Path(one).is_file()]
    if not files:
        raise typer.BadParameter(
            f"Nothing matches {name}." if glob.has_magic(name) else f"There is no file {name}."
        )
    return [Input(str(file), file) for file in files]
