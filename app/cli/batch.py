"""`batch TASK`: the same question about any number of files, with a line of JSON for each."""

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

MAX_SHOWN = 10  # failures at the end; all are in a file
INTERRUPTED = "Stopped."


class SidecarFormat(StrEnum):
    """Of the files with the texts."""

    TXT = "txt"
    MD = "md"


Paths = Annotated[
    list[str],
    typer.Argument(
        help="Files, folders (all pictures and PDFs below), globs, addresses; - reads a list, a "
        "name a line.",
        show_default=False,
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "--out", "-o", help="Gets a line of JSON a file; the same command goes on with it."
    ),
]
SidecarOption = Annotated[
    SidecarFormat | None,
    typer.Option(
        help="Put each text beside its file, too: scan.jpg.txt, or .md (ocr then writes Markdown).",
        show_default=False,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace texts that are there already.")]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Ask again about files whose line is an error.")
]
Concurrency = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=0,
        max=1024,
        help="Requests at once to each server, at most; default: its slots and two.",
        show_default=False,
    ),
]
Patience = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="How long a file may be refused, or no server be there, before it is given up.",
    ),
]
Servers = Annotated[
    list[str] | None,
    typer.Option(
        "--server",
        help="Where it is; several by repeating it. Default: this machine, at HOST and PORT.",
        envvar="SERVER_URL",
        rich_help_panel=HELP_PANEL,
        show_default=False,
    ),
]


def command(name: str) -> Callable[..., None]:
    """The bulk form of a task; its options are made from the task's fields."""
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
        run_batch, task, f"{name} any number of files; a line of JSON for each."
    )


@contextmanager
def _report_errors() -> Iterator[None]:
    """Turns what ends a run early into a sentence and a status."""
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
    """What is named, counted before anything is asked."""
    worklist = Worklist()
    try:
        with err.status("Looking for files ..."):
            worklist.add(path for path in paths if path != STDIN)
            if STDIN in paths:
                worklist.add(read_names(sys.stdin.buffer), from_list=True)
        if not worklist.counts().total:
            raise InputNotFound("No picture or PDF was found.")
        yield worklist
    finally:
        worklist.close()


async def _run(run: Run, urls: list[str], key: str, concurrency: int) -> int:
    """The status to end with."""
    before, started = run.worklist.counts(), time.monotonic()
    why = ""
    if before.pending:
        _stop_on_sigterm()
        try:
            async with ServerPool(
                urls, key, concurrency, run.spec.patience_s, print_warning
            ) as pool:
                with BatchProgress(run.spec.task, before, pool) as bar:
                    run.emit = bar.update
                    await run.execute(pool)
        except TaskRejected as told:
            why = f"No file can be answered so: {error_message(told.problem)}"
        except NoServerLeft:
            why = f"No server answered for {run.spec.patience_s:g} s."
        except ResultsFileError as error:
            why = str(error)
        except asyncio.CancelledError:
            why = INTERRUPTED
    failed = _print_summary(run, before, time.monotonic() - started, why)
    return (
        EXIT_INTERRUPTED if why == INTERRUPTED else int(bool(why or failed or run.sidecar_failures))
    )


def _print_summary(run: Run, before: Counts, seconds: float, why: str) -> int:
    """What became of the files; how many failed."""
    now = run.worklist.counts()
    did = now.answered + now.failed - before.answered - before.failed
    if why:
        print_error(why)
    files = "1 file" if now.total == 1 else f"{now.total:,} files"
    left = f", {now.pending:,} left: run the same command again" if now.pending else ""
    print_message(f"{files}: {now.answered:,} answered, {now.failed:,} failed{left}.", "bold")
    if did:
        rate = did / max(seconds, 0.001)
        before_that = "; the others before" if did < now.answered + now.failed else ""
        print_message(
            f"{did:,} of them now, in {format_duration(seconds)} ({format_rate(rate)})"
            f"{before_that}."
        )
    if run.sidecar_failures:
        print_error(
            f"{run.sidecar_failures:,} texts could not be put beside their files: "
            f"{run.sidecar_error}."
        )
    _print_failures(run, now.failed)
    return now.failed


def _print_failures(run: Run, count: int) -> None:
    """The first ones, with the reasons; all of them in a file beside the run's."""
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
    print_message(f"All of them: {all_of_them}. Ask again about them with --retry-failed.")


def _stop_on_sigterm() -> None:
    """As Ctrl-C: what is under way is let go of, and the run can go on later."""
    if task := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
