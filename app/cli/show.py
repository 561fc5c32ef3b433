"""How an answer is shown while it comes: as text for people, as JSON for programs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich import box
from rich.status import Status
from rich.table import Table
from rich.text import Text as Line

from app.cli.terminal import clean, err, notice, out, say, sentence, write, wrong
from app.client.events import Event
from app.client.problem import ServerProblem

NOTE = "dim"


class Shown(Protocol):
    """Takes the events of one answer after another."""

    def begin(self, name: str) -> None:
        """Now comes what was asked about the file (or files) of this name."""

    def take(self, event: Event) -> None: ...

    def fail(self, problem: ServerProblem) -> None: ...

    def close(self) -> None:
        """Nothing more comes of this one, whether it was whole or not."""


class Json:
    """One line an answer: the whole of it, with the file's name before."""

    def __init__(self) -> None:
        self._name = ""

    def begin(self, name: str) -> None:
        self._name = name

    def take(self, event: Event) -> None:
        if event.name == "done":
            self._line(event.data)

    def fail(self, problem: ServerProblem) -> None:
        self._line({"error": problem.body})
        wrong(f"{self._name}: {sentence(problem)}")

    def close(self) -> None: ...

    def _line(self, told: dict[str, Any]) -> None:
        write(json.dumps({"file": self._name, **told}, ensure_ascii=False) + "\n")


class Text:
    """The text as it comes; below it, what is being waited for.

    Args:
        several: whether there will be more than one answer, so that each is headed by its name.
        questions: what was asked, where it was more than one thing.
        structured: whether the text is JSON, which is shown when it is whole.
    """

    def __init__(self, *, several: bool, questions: list[str], structured: bool) -> None:
        self._several, self._structured = several, structured
        self._questions = questions if len(questions) > 1 else []
        self._waiting: Status | None = None
        self._first = True

    def begin(self, name: str) -> None:
        self._name = clean(name)
        self._part: tuple[Any, ...] | None = None
        self._said, self._ends = 0, True
        self._thought = False
        if self._several:
            if not self._first:
                out.print()
            out.print(f"== {self._name}", style="bold", soft_wrap=True)
        self._first = False
        self._wait("sending ...")

    def take(self, event: Event) -> None:
        data = event.data
        match event.name:
            case "queued":
                self._wait(f"place {data['position']} in the queue, {_about(data['eta_ms'])}")
            case "start":
                tokens = sum(image["tokens"] for image in data["images"])
                self._wait(
                    f"{data['model']} is looking at {_several(data['images'])}, {tokens} tokens ..."
                )
            case "reasoning":
                self._think(data["text"])
            case "delta" if self._structured:
                self._said += len(data["text"])
                self._wait(f"{self._said} characters ...")
            case "delta":
                self._say(data)
            case "done":
                self._done(data)

    def fail(self, problem: ServerProblem) -> None:
        self.close()
        wrong(f"{self._name}: {sentence(problem)}")

    def close(self) -> None:
        self._quiet()
        if not self._ends:
            write("\n")
            self._ends = True

    def _wait(self, what: str) -> None:
        """A line that rewrites itself, where somebody sees it."""
        if not err.is_terminal or (self._said and not self._structured):
            return
        text = Line(what, NOTE)
        if self._waiting is None:
            self._waiting = Status(text, console=err)
            self._waiting.start()
        else:
            self._waiting.update(text)

    def _quiet(self) -> None:
        if self._waiting:
            self._waiting.stop()
            self._waiting = None

    def _think(self, text: str) -> None:
        """Thoughts are no part of the answer."""
        self._quiet()
        self._thought = True
        err.print(clean(text), style=NOTE, end="", soft_wrap=True)

    def _say(self, data: dict[str, Any]) -> None:
        self._quiet()
        if self._thought:
            err.print("\n")
            self._thought = False
        part = (data.get("question"), data.get("image"), data.get("page"))
        if part != self._part:
            if self._part is not None:
                write("\n\n" if not self._ends else "\n")
            self._head(data)
            self._part = part
        self._said += len(data["text"])
        self._ends = data["text"].endswith("\n")
        write(data["text"])

    def _head(self, data: dict[str, Any]) -> None:
        """Which part this is, where there are several."""
        if self._questions and (number := data.get("question")) is not None:
            out.print(clean(self._questions[number]), style="bold", soft_wrap=True)

    def _done(self, answer: dict[str, Any]) -> None:
        self.close()
        if self._structured:
            _structure(answer)
        elif not self._said:
            write(answer["text"] + "\n" if answer["text"] else "")
        for warning in answer["warnings"]:
            notice(f"Note: {warning}")
        if answer.get("finish_reason") == "length":
            notice("Note: cut at the limit of tokens: --max-tokens.")
        if err.is_terminal:
            say(_cost(answer), NOTE)


def _structure(answer: dict[str, Any]) -> None:
    """Data as JSON, things and their boxes as a table."""
    objects = answer.get("objects")
    if objects is None:
        write(json.dumps(answer.get("data"), ensure_ascii=False, indent=2) + "\n")
        return
    if not objects:
        say("Nothing of that was found.")
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
        table.add_row(clean(one["label"]), *(f"{side:g}" for side in one["box"]), *place)
    out.print(table)


def _cost(answer: dict[str, Any]) -> str:
    """What it took, in a line."""
    usage, timings = answer.get("usage", {}), answer.get("timings", {})
    if answer.get("cached"):
        return f"{answer['model']}: kept from an equal request"
    return (
        f"{answer['model']}: {usage.get('prompt_tokens', 0)} tokens read, "
        f"{usage.get('completion_tokens', 0)} written, {timings.get('total_ms', 0) / 1e3:.1f} s"
        f" ({timings.get('tokens_per_second', 0):.0f} tokens/s)"
    )


def _about(milliseconds: float) -> str:
    return f"about {max(1, round(milliseconds / 1e3))} s"


def _several(images: list[Any]) -> str:
    return "1 picture" if len(images) == 1 else f"{len(images)} pictures"


@contextmanager
def showing(shown: Shown, name: str) -> Iterator[None]:
    """One answer, whose line of waiting is gone at the end, however it ends."""
    shown.begin(name)
    try:
        yield
    finally:
        shown.close()
