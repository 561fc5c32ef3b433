"""`pull [MODEL]`: download a model into Ollama and check its capabilities."""

import asyncio
from contextlib import ExitStack
from typing import Annotated, Any

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from app.cli import checks, server_options
from app.cli.checks import Check
from app.cli.terminal import EXIT_INTERRUPTED, err, out, print_error, print_message, print_warning
from app.models import pull as download
from app.models.catalog import CatalogEntry, find_entry, resolve


class DownloadProgress:
    """The progress bar of a download; `update` receives the daemon's lines."""

    def __init__(self, bar: Progress, expected: int) -> None:
        """`expected`: size of the model in bytes; the daemon lists its parts one by one."""
        self._progress_bar, self._expected = bar, expected
        self._layers: dict[str, tuple[int, int]] = {}
        self._row = bar.add_task("", total=expected or None)

    def update(self, line: dict[str, Any]) -> None:
        """One line of the daemon's answer."""
        status = str(line.get("status", ""))
        if line.get("total"):
            self._layers[line["digest"]] = (line.get("completed", 0), line["total"])
            done, known = map(sum, zip(*self._layers.values(), strict=True))
            total = max(known, self._expected)
            self._progress_bar.update(
                self._row, completed=done, total=total, description="downloading"
            )
        else:
            self._progress_bar.update(self._row, description=status[:24])


def pull(
    model: Annotated[
        str, typer.Argument(help="Tag of the model; default: MODEL_NAME.", show_default=False)
    ] = "",
) -> None:
    """Download a model through Ollama. An interrupted download is resumed."""
    settings = server_options.load_settings()
    tag, note = resolve(model or settings.model_name)
    if note:
        print_warning(f"Note: {note}.")
    url, entry = settings.ollama_host, find_entry(tag)
    engine = asyncio.run(checks.inspect_engine(url, tag))
    _require(checks.engine_check(engine, entry))
    if engine.shown is None:
        _require(checks.disk_check(engine, entry))
        _download(url, tag, entry)
        engine = asyncio.run(checks.inspect_engine(url, tag))
    _require(checks.model_check(engine, tag))
    out.print(f"{tag} is installed and can see.", soft_wrap=True)
    out.print(f"Start the server with:  ENGINE=ollama MODEL_NAME={tag} ./run_server.sh")


def _require(check: Check) -> None:
    """Exit with 1 and the text of a failed check."""
    if check.ok is False:
        print_error(check.text)
        raise typer.Exit(1)


def _download(url: str, tag: str, entry: CatalogEntry | None) -> None:
    """Download with a progress bar on a terminal, else with a line every 30 seconds."""
    expected = entry.download_bytes if entry else 0
    size = f"{expected / 1e9:.1f} GB" if expected else "size unknown"
    print_message(f"Downloading {tag} ({size}) through Ollama at {url}.")
    try:
        with ExitStack() as stack:
            if not err.is_terminal:
                download.pull(url, tag, str(expected))
                return
            bar = stack.enter_context(_progress_bar())
            download.pull(url, tag, str(expected), lambda size: _new_progress(bar, size))
    except KeyboardInterrupt:
        print_message("\nStopped. Run the same command again to resume.")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except OSError as error:
        print_error(f"Ollama at {url} does not answer: {error}")
        raise typer.Exit(1) from None
    except SystemExit as end:  # with the message for the user
        print_error(str(end))
        raise typer.Exit(1) from None


def _progress_bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=err,
        expand=True,
    )


def _new_progress(bar: Progress, expected: int) -> DownloadProgress:
    """A new bar for another attempt; the daemon reports what it already has."""
    for row in bar.task_ids:
        bar.remove_task(row)
    return DownloadProgress(bar, expected)
