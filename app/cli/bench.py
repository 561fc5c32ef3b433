"""`bench`: send the same requests to several models and write an HTML report."""

import json
import locale
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from app.cli.server_options import ApiKey, Server, server_and_key
from app.cli.terminal import err, error_message, run_command, strip_controls
from app.client.client import Client
from app.client.problem import ServerProblem
from app.compare import page
from app.compare.questions import Question, examples, from_folder
from app.compare.report import ModelResult, Report
from app.compare.run import compare, steps


def bench(
    *,
    models: Annotated[
        str, typer.Option(help="Comma-separated: qwen3-vl:32b,qwen3-vl:8b.", show_default=False)
    ],
    images: Annotated[
        Path | None,
        typer.Option(
            help="A folder of your own images. NAME.txt next to an image holds the text in it.",
            show_default=False,
        ),
    ] = None,
    question: Annotated[
        list[str] | None,
        typer.Option(help="A question about each of your own images; repeat for several."),
    ] = None,
    with_examples: Annotated[
        bool, typer.Option("--examples/--no-examples", help="Include the example images.")
    ] = True,
    repeat: Annotated[int, typer.Option(min=1, max=100, help="Runs of each request.")] = 3,
    out: Annotated[
        Path, typer.Option(help="HTML report; the numbers are written next to it as JSON.")
    ] = Path("comparison.html"),
    server: Server = "",
    api_key: ApiKey = "",
) -> None:
    """Compare models on your own machine: speed, memory, reading errors and answers.

    Sends one request at a time to a running server. The time to load a model is reported
    separately. Exits with 1 if a model, such as one that is not installed, was not measured.
    """
    names = list(dict.fromkeys(name.strip() for name in models.split(",") if name.strip()))
    if not names:
        raise typer.BadParameter("Name at least one model.", param_hint="--models")
    questions = _questions(images, question or [], with_examples)
    _require_writable(out)
    url, key = server_and_key(server, api_key)
    run_command(_compare(Client(url, key, bypass_cache=True), names, questions, repeat, out))


def _questions(
    folder: Path | None, question_texts: list[str], with_examples: bool
) -> list[Question]:
    if question_texts and folder is None:
        raise typer.BadParameter(
            "Questions are about your own images: name their folder with --images."
        )
    try:
        mine = from_folder(folder, question_texts) if folder else []
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error), param_hint="--images") from None
    found = [*(examples() if with_examples else []), *mine]
    if not found:
        raise typer.BadParameter("Nothing to ask: omit --no-examples, or add --images.")
    return found


def _require_writable(out: Path) -> None:
    """Fail before the measurement if the report cannot be written."""
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise typer.BadParameter(f"{out} cannot be written.", param_hint="--out")


async def _compare(
    client: Client, names: list[str], questions: list[Question], repeat: int, out: Path
) -> int:
    """Measure and return the exit status. The report is also written after an interruption."""
    async with client:
        try:
            engine = (await client.status())["engine"]["version"] or "?"
            report = Report(datetime.now().astimezone(), f"Ollama API {engine}", repeat, questions)
        except ServerProblem as problem:
            err.print(error_message(problem), style="red", soft_wrap=True)
            return 1
        try:
            with _progress(names, steps(report)) as on_step:
                await compare(client, report, names, on_step)
        except ServerProblem as problem:
            err.print(error_message(problem), style="red", soft_wrap=True)
        finally:
            if any(one.answered for one in report.models):
                _write(report, out)
    return 0 if report.complete and all(_is_measured(one) for one in report.models) else 1


def _is_measured(one: ModelResult) -> bool:
    return not one.problem and not any(cell.problem for cell in one.cells)


@contextmanager
def _progress(names: list[str], each: int) -> Iterator["_ProgressBars"]:
    """A progress bar per model on a terminal, else a line when a model is done."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        disable=not err.is_terminal,
    )
    with bar:
        yield _ProgressBars(bar, names, each)


class _ProgressBars:
    """Called after each step of a model."""

    def __init__(self, bar: Progress, names: list[str], each: int) -> None:
        self._bar = bar
        self._each = each
        self._done = dict.fromkeys(names, 0)
        self._rows = {
            name: bar.add_task(strip_controls(name), total=each, start=False) for name in names
        }

    def __call__(self, model_result: ModelResult, number: int) -> None:
        name = model_result.name
        self._bar.start_task(self._rows[name])
        self._bar.advance(self._rows[name], number)
        self._done[name] += number
        if model_result.problem:
            err.print(
                strip_controls(f"{name}: {model_result.problem}"), style="yellow", soft_wrap=True
            )
        elif self._done[name] == self._each and not err.is_terminal:
            err.print(f"{name}: done", soft_wrap=True)


def _write(report: Report, out: Path) -> None:
    """Write the report and its numbers, and print a table."""
    korean = (locale.getlocale()[0] or os.environ.get("LANG", "")).startswith("ko")
    json_path = out.with_suffix(".json")
    json_path.write_text(
        json.dumps(report.to_dict(), ensure_ascii=False, indent=1), encoding="utf-8"
    )
    out.write_text(page.page(report, korean), encoding="utf-8")
    err.print(_table(report.models))
    if not report.complete:
        err.print("Stopped before the end; the report holds what was measured.", style="yellow")
    typer.echo(f"{out}\n{json_path}")


def _table(models: list[ModelResult]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model")
    for name in ("first text", "whole answer", "tokens/s", "CER", "GPU", "first request"):
        table.add_column(name, justify="right")
    for one in models:
        if one.problem:
            table.add_row(strip_controls(one.name), Text("not measured", "red"))
            continue
        table.add_row(
            strip_controls(one.name),
            page.seconds(one.first_s),
            page.seconds(one.total_s),
            page.rate(one.tokens_per_second),
            page.percent(one.error_rates.cer if one.error_rates else None),
            "–" if one.vram_ratio is None else f"{100 * one.vram_ratio:.0f} %",
            page.seconds(one.first_request_s),
        )
    return table
