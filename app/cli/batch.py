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

from app.bulk.beside import Beside
from app.bulk.fleet import Fleet, NobodyLeft
from app.bulk.job import Ask, Wrong
from app.bulk.lines import Lines, Unusable
from app.bulk.run import Run
from app.bulk.worklist import Counts, Missing, Worklist, listed
from app.cli.fields import given
from app.cli.inputs import STDIN
from app.cli.progress import Bar, duration, speed
from app.cli.tasks import NAMES, optioned
from app.cli.terminal import STOPPED, err, notice, say, sentence, wrong
from app.cli.where import PANEL, ApiKey, server_and_key
from app.client.problem import ServerProblem

SHOWN = 10  # failures at the end; all are in a file
STOPPED_WHY = "Stopped."


class Ending(StrEnum):
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
Aside = Annotated[
    Ending | None,
    typer.Option(
        help="Put each text beside its file, too: scan.jpg.txt, or .md (ocr then writes Markdown).",
        show_default=False,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace texts that are there already.")]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Ask again about files whose line is an error.")
]
AtOnce = Annotated[
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
        rich_help_panel=PANEL,
        show_default=False,
    ),
]


def command(name: str) -> Callable[..., None]:
    """The bulk form of a task; its options are made from the task's fields."""
    task = NAMES[name]

    def does(  # noqa: PLR0917 - typer passes them by name
        paths: Paths,
        out: Out,
        beside: Aside = None,
        force: Force = False,
        retry_failed: RetryFailed = False,
        concurrency: AtOnce = 0,
        patience: Patience = 600.0,
        server: Servers = None,
        api_key: ApiKey = "",
        **options: Any,
    ) -> None:
        if beside is Ending.MD and task == "ocr":
            options["format"] = options["format"] or "markdown"
        ask = Ask(task, given(task, options), patience)
        texts = Beside(beside, force) if beside else None
        pairs = [server_and_key(one, api_key) for one in dict.fromkeys(server or [""])]
        with _ending(), _worklist(paths) as work, Lines(out, ask.short) as lines:
            run = Run(ask, work, lines, texts)
            run.resume(retry_failed)
            status = asyncio.run(_run(run, [url for url, _ in pairs], pairs[0][1], concurrency))
        raise typer.Exit(status)

    return optioned(does, task, f"{name} any number of files; a line of JSON for each.")


@contextmanager
def _ending() -> Iterator[None]:
    """Turns what ends a run early into a sentence and a status."""
    try:
        yield
    except (Missing, Unusable) as error:
        wrong(str(error))
        raise typer.Exit(2 if isinstance(error, Missing) else 1) from None
    except ServerProblem as problem:
        wrong(sentence(problem))
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(STOPPED) from None


@contextmanager
def _worklist(paths: list[str]) -> Iterator[Worklist]:
    """What is named, counted before anything is asked."""
    work = Worklist()
    try:
        with err.status("Looking for files ..."):
            work.add(path for path in paths if path != STDIN)
            if STDIN in paths:
                work.add(listed(sys.stdin.buffer), listed=True)
        if not work.counts().total:
            raise Missing("No picture or PDF was found.")
        yield work
    finally:
        work.close()


async def _run(run: Run, urls: list[str], key: str, at_once: int) -> int:
    """The status to end with."""
    before, begun = run.work.counts(), time.monotonic()
    why = ""
    if before.waiting:
        _stop_on_sigterm()
        try:
            async with Fleet(urls, key, at_once, run.ask.patience_s, notice) as fleet:
                with Bar(run.ask.task, before, fleet) as bar:
                    run.note = bar.took
                    await run.go(fleet)
        except Wrong as told:
            why = f"No file can be answered so: {sentence(told.problem)}"
        except NobodyLeft:
            why = f"No server answered for {run.ask.patience_s:g} s."
        except Unusable as error:
            why = str(error)
        except asyncio.CancelledError:
            why = STOPPED_WHY
    failed = _summary(run, before, time.monotonic() - begun, why)
    return STOPPED if why == STOPPED_WHY else int(bool(why or failed or run.unwritten))


def _summary(run: Run, before: Counts, seconds: float, why: str) -> int:
    """What became of the files; how many failed."""
    now = run.work.counts()
    did = now.answered + now.failed - before.answered - before.failed
    if why:
        wrong(why)
    files = "1 file" if now.total == 1 else f"{now.total:,} files"
    left = f", {now.waiting:,} left: run the same command again" if now.waiting else ""
    say(f"{files}: {now.answered:,} answered, {now.failed:,} failed{left}.", "bold")
    if did:
        rate = did / max(seconds, 0.001)
        before_that = "; the others before" if did < now.answered + now.failed else ""
        say(f"{did:,} of them now, in {duration(seconds)} ({speed(rate)}){before_that}.")
    if run.unwritten:
        wrong(f"{run.unwritten:,} texts could not be put beside their files: {run.why}.")
    _failures(run, now.failed)
    return now.failed


def _failures(run: Run, count: int) -> None:
    """The first ones, with the reasons; all of them in a file beside the run's."""
    all_of_them = run.lines.path.with_name(f"{run.lines.path.name}.failed")
    if not count:
        all_of_them.unlink(missing_ok=True)
        return
    codes = ", ".join(f"{number:,} {code}" for code, number in run.work.codes().items())
    wrong(f"\nFailed: {codes}")
    with all_of_them.open("wb") as file:
        for number, one in enumerate(run.work.failed()):
            file.write(os.fsencode(one.path) + f"\t{one.code}: {one.why}\n".encode())
            if number < SHOWN:
                say(f"  {one.path}: {one.why}")
    if count > SHOWN:
        say(f"  and {count - SHOWN:,} more.")
    say(f"All of them: {all_of_them}. Ask again about them with --retry-failed.")


def _stop_on_sigterm() -> None:
    """As Ctrl-C: what is under way is let go of, and the run can go on later."""
    if task := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
