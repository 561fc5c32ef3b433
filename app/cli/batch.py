"""`batch TASK`: one task over any number of files, one line of JSON per file."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from app.bulk.attempt import TaskRejected, TaskSpec
from app.bulk.results_file import ResultsFile, ResultsFileError
from app.bulk.run import Run
from app.bulk.server_pool import NoServerLeft, ServerPool
from app.bulk.sidecar import Sidecars
from app.bulk.worklist import Counts, InputNotFound, Worklist, read_names
from app.cli.inputs import STDIN
from app.cli.progress import BatchProgress, format_duration, format_rate
from app.cli.server_options import HELP_PANEL, ApiKey, server_and_key
from app.cli.task_options import request_fields
from app.cli.tasks import TASK_COMMANDS, with_task_options
from app.cli.terminal import (
    EXIT_INTERRUPTED,
    err,
    error_message,
    print_error,
    print_message,
    print_warning,
)
from app.client.problem import ServerProblem

MAX_SHOWN = 10  # failures in the summary; a file lists all of them
INTERRUPTED = "Stopped."


class SidecarFormat(StrEnum):
    """The suffix of the sidecar files."""

    TXT = "txt"
    MD = "md"


Paths = Annotated[
    list[str],
    typer.Argument(
        help="Files, folders (all images and PDFs in them), globs or URLs; - reads names from "
        "standard input, one per line.",
        show_default=False,
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "--out", "-o", help="Results file, one line of JSON per file; an existing one is resumed."
    ),
]
SidecarOption = Annotated[
    SidecarFormat | None,
    typer.Option(
        "--beside",
        help="Also write each text next to its file: scan.jpg.txt, or .md (ocr writes Markdown).",
        show_default=False,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite existing text files.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Process failed files again.")]
Concurrency = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=0,
        max=1024,
        help="Maximum concurrent requests per server; default: its slots plus two.",
        show_default=False,
    ),
]
Patience = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="How long to retry a file that is refused, or to wait for a server, before giving up.",
    ),
]
Servers = Annotated[
    list[str] | None,
    typer.Option(
        "--server",
        help="URL of the server; repeat for several. Default: this machine, at HOST and PORT.",
        envvar="SERVER_URL",
        rich_help_panel=HELP_PANEL,
        show_default=False,
    ),
]


def command(name: str) -> Callable[..., None]:
    """The batch command of a task; its options are the fields of the task."""
    task = TASK_COMMANDS[name]

    def run_batch(  # noqa: PLR0917 - typer passes them by name
        paths: Paths,
        out: Out,
        beside: SidecarOption = None,
        force: Force = False,
        retry_failed: RetryFailed = False,
        concurrency: Concurrency = 0,
        patience: Patience = 600.0,
        server: Servers = None,
        api_key: ApiKey = "",
        **options: Any,
    ) -> None:
        if beside is SidecarFormat.MD and task == "ocr":
            options["format"] = options["format"] or "markdown"
        spec = TaskSpec(task, request_fields(task, options), patience)
        sidecars = Sidecars(beside, force) if beside else None
        pairs = [server_and_key(one, api_key) for one in dict.fromkeys(server or [""])]
        with (
            _report_errors(),
            _collect_inputs(paths) as worklist,
            ResultsFile(out, spec.fingerprint) as results,
        ):
            run = Run(spec, worklist, results, sidecars)
            run.resume(retry_failed)
            status = asyncio.run(_run(run, [url for url, _ in pairs], pairs[0][1], concurrency))
        raise typer.Exit(status)

    return with_task_options(
        run_batch, task, f"Run {name} on any number of files; one line of JSON per file."
    )


@contextmanager
def _report_errors() -> Iterator[None]:
    """Translate the errors that end a run into a message and an exit status."""
    try:
        yield
    except (InputNotFound, ResultsFileError) as error:
        print_error(str(error))
        raise typer.Exit(2 if isinstance(error, InputNotFound) else 1) from None
    except ServerProblem as problem:
        print_error(error_message(problem))
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None


@contextmanager
def _collect_inputs(paths: list[str]) -> Iterator[Worklist]:
    """The named files, counted before the first request."""
    worklist = Worklist()
    try:
        with err.status("Looking for files ..."):
            worklist.add(path for path in paths if path != STDIN)
            if STDIN in paths:
                worklist.add(read_names(sys.stdin.buffer), from_list=True)
        if not worklist.counts().total:
            raise InputNotFound("No image or PDF was found.")
        yield worklist
    finally:
        worklist.close()


async def _run(run: Run, urls: list[str], key: str, concurrency: int) -> int:
    """Run the batch and return the exit status."""
    before, started = run.worklist.counts(), time.monotonic()
    reason = ""
    if before.pending:
        _stop_on_sigterm()
        try:
            async with ServerPool(
                urls, key, concurrency, run.spec.patience_s, print_warning
            ) as pool:
                with BatchProgress(run.spec.task, before, pool) as bar:
                    run.emit = bar.update
                    await run.execute(pool)
        except TaskRejected as rejected:
            reason = (
                f"The server rejects this request for every file: {error_message(rejected.problem)}"
            )
        except NoServerLeft:
            reason = f"No server answered for {run.spec.patience_s:g} s."
        except ResultsFileError as error:
            reason = str(error)
        except asyncio.CancelledError:
            reason = INTERRUPTED
    failed = _print_summary(run, before, time.monotonic() - started, reason)
    if reason == INTERRUPTED:
        return EXIT_INTERRUPTED
    return int(bool(reason or failed or run.sidecar_failures))


def _print_summary(run: Run, before: Counts, seconds: float, reason: str) -> int:
    """Print the summary and return the number of failed files."""
    now = run.worklist.counts()
    processed = now.answered + now.failed - before.answered - before.failed
    if reason:
        print_error(reason)
    files = "1 file" if now.total == 1 else f"{now.total:,} files"
    left = f", {now.pending:,} left: run the same command again to resume" if now.pending else ""
    print_message(f"{files}: {now.answered:,} answered, {now.failed:,} failed{left}.", "bold")
    if processed:
        rate = processed / max(seconds, 0.001)
        others = "; the others in earlier runs" if processed < now.answered + now.failed else ""
        print_message(
            f"{processed:,} in this run, in {format_duration(seconds)} ({format_rate(rate)})"
            f"{others}."
        )
    if run.sidecar_failures:
        print_error(
            f"{run.sidecar_failures:,} text files could not be written: {run.sidecar_error}."
        )
    _print_failures(run, now.failed)
    return now.failed


def _print_failures(run: Run, count: int) -> None:
    """Print the first failures and list all of them in `OUT.failed`."""
    all_of_them = run.results.path.with_name(f"{run.results.path.name}.failed")
    if not count:
        all_of_them.unlink(missing_ok=True)
        return
    error_counts = ", ".join(
        f"{number:,} {code}" for code, number in run.worklist.error_counts().items()
    )
    print_error(f"\nFailed: {error_counts}")
    with all_of_them.open("wb") as file:
        for number, one in enumerate(run.worklist.failures()):
            file.write(os.fsencode(one.path) + f"\t{one.code}: {one.detail}\n".encode())
            if number < MAX_SHOWN:
                print_message(f"  {one.path}: {one.detail}")
    if count > MAX_SHOWN:
        print_message(f"  and {count - MAX_SHOWN:,} more.")
    print_message(f"All failures: {all_of_them}. Process them again with --retry-failed.")


def _stop_on_sigterm() -> None:
    """Handle SIGTERM as Ctrl-C: cancel the requests; the run can be resumed."""
    if task := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
