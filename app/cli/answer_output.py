"""Prints answers while they are streamed: as text for people, as JSON for programs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich import box
from rich.status import Status
from rich.table import Table
from rich.text import Text

from app.cli.terminal import (
    err,
    error_message,
    out,
    print_error,
    print_message,
    print_warning,
    strip_controls,
    write,
)
from app.client.events import Event
from app.client.problem import ServerProblem

DIM = "dim"


class AnswerOutput(Protocol):
    """Receives the events of one answer after another."""

    def begin(self, name: str) -> None:
        """Start the answer about the file (or files) of this name."""

    def handle(self, event: Event) -> None: ...

    def fail(self, problem: ServerProblem) -> None: ...

    def close(self) -> None:
        """End the answer, whether it is complete or not."""


class JsonOutput:
    """One line of JSON per answer, with the name of the file first."""

    def __init__(self) -> None:
        self._name = ""

    def begin(self, name: str) -> None:
        self._name = name

    def handle(self, event: Event) -> None:
        if event.name == "done":
            self._line(event.data)

    def fail(self, problem: ServerProblem) -> None:
        self._line({"error": problem.body})
        print_error(f"{self._name}: {error_message(problem)}")

    def close(self) -> None: ...

    def _line(self, record: dict[str, Any]) -> None:
        write(json.dumps({"file": self._name, **record}, ensure_ascii=False) + "\n")


class TextOutput:
    """The text as it is streamed, and a status line below it.

    Args:
        several: there is more than one answer, so each starts with the name of its file.
        questions: the questions; each is printed before its answer if there are several.
        structured: the text is JSON, which is printed when it is complete.
    """

    def __init__(self, *, several: bool, questions: list[str], structured: bool) -> None:
        self._count_images, self._structured = several, structured
        self._questions = questions if len(questions) > 1 else []
        self._status: Status | None = None
        self._is_first = True

    def begin(self, name: str) -> None:
        self._name = strip_controls(name)
        self._part: tuple[Any, ...] | None = None
        self._written, self._at_line_start = 0, True
        self._reasoning_shown = False
        if self._count_images:
            if not self._is_first:
                out.print()
            out.print(f"== {self._name}", style="bold", soft_wrap=True)
        self._is_first = False
        self._show_status("sending ...")

    def handle(self, event: Event) -> None:
        data = event.data
        match event.name:
            case "queued":
                self._show_status(
                    f"position {data['position']} in the queue, {_approximate(data['eta_ms'])}"
                )
            case "start":
                tokens = sum(image["tokens"] for image in data["images"])
                self._show_status(
                    f"{data['model']} is processing {_count_images(data['images'])}, "
                    f"{tokens} tokens ..."
                )
            case "reasoning":
                self._write_reasoning(data["text"])
            case "delta" if self._structured:
                self._written += len(data["text"])
                self._show_status(f"{self._written} characters ...")
            case "delta":
                self._write_delta(data)
            case "done":
                self._finish(data)

    def fail(self, problem: ServerProblem) -> None:
        self.close()
        print_error(f"{self._name}: {error_message(problem)}")

    def close(self) -> None:
        self._stop_status()
        if not self._at_line_start:
            write("\n")
            self._at_line_start = True

    def _show_status(self, text: str) -> None:
        """Show or update the status line, on a terminal only."""
        if not err.is_terminal or (self._written and not self._structured):
            return
        line = Text(text, DIM)
        if self._status is None:
            self._status = Status(line, console=err)
            self._status.start()
        else:
            self._status.update(line)

    def _stop_status(self) -> None:
        if self._status:
            self._status.stop()
            self._status = None

    def _write_reasoning(self, text: str) -> None:
        """Reasoning goes to standard error: it is not part of the answer."""
        self._stop_status()
        self._reasoning_shown = True
        err.print(strip_controls(text), style=DIM, end="", soft_wrap=True)

    def _write_delta(self, data: dict[str, Any]) -> None:
        self._stop_status()
        if self._reasoning_shown:
            err.print("\n")
            self._reasoning_shown = False
        part = (data.get("question"), data.get("image"), data.get("page"))
        if part != self._part:
            if self._part is not None:
                write("\n\n" if not self._at_line_start else "\n")
            self._write_heading(data)
            self._part = part
        self._written += len(data["text"])
        self._at_line_start = data["text"].endswith("\n")
        write(data["text"])

    def _write_heading(self, data: dict[str, Any]) -> None:
        """Print the question of this part if there are several."""
        if self._questions and (number := data.get("question")) is not None:
            out.print(strip_controls(self._questions[number]), style="bold", soft_wrap=True)

    def _finish(self, answer: dict[str, Any]) -> None:
        self.close()
        if self._structured:
            _print_structured(answer)
        elif not self._written:
            write(answer["text"] + "\n" if answer["text"] else "")
        for warning in answer["warnings"]:
            print_warning(f"Note: {warning}")
        if answer.get("finish_reason") == "length":
            print_warning(
                "Note: the answer was cut off at the token limit; raise it with --max-tokens."
            )
        if err.is_terminal:
            print_message(_usage_line(answer), DIM)


def _print_structured(answer: dict[str, Any]) -> None:
    """Print data as JSON, and objects with their boxes as a table."""
    objects = answer.get("objects")
    if objects is None:
        write(json.dumps(answer.get("data"), ensure_ascii=False, indent=2) + "\n")
        return
    if not objects:
        print_message("No matching objects were found.")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("label")
    for side in ("left", "top", "right", "bottom"):
        table.add_column(side, justify="right")
    several = len(answer["images"]) > 1
    if several:
        table.add_column("image", justify="right")
        table.add_column("page", justify="right")
    for one in objects:
        place = [str(one["image"]), str(one["page"] or "-")] if several else []
        table.add_row(strip_controls(one["label"]), *(f"{side:g}" for side in one["box"]), *place)
    out.print(table)


def _usage_line(answer: dict[str, Any]) -> str:
    """Model, tokens and time of an answer, in one line."""
    usage, timings = answer.get("usage", {}), answer.get("timings", {})
    if answer.get("cached"):
        return f"{answer['model']}: from the cache of answers"
    return (
        f"{answer['model']}: {usage.get('prompt_tokens', 0)} prompt tokens, "
        f"{usage.get('completion_tokens', 0)} completion tokens, "
        f"{timings.get('total_ms', 0) / 1e3:.1f} s "
        f"({timings.get('tokens_per_second', 0):.0f} tokens/s)"
    )


def _approximate(milliseconds: float) -> str:
    return f"about {max(1, round(milliseconds / 1e3))} s"


def _count_images(images: list[Any]) -> str:
    return "1 image" if len(images) == 1 else f"{len(images)} images"


@contextmanager
def one_answer(output: AnswerOutput, name: str) -> Iterator[None]:
    """Print one answer; the status line is removed however it ends."""
    output.begin(name)
    try:
        yield
    finally:
        output.close()
