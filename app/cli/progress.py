"""How far a run is: a bar on a terminal, else a line now and then."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from app.bulk.fleet import Fleet
from app.bulk.job import Outcome
from app.bulk.worklist import Counts
from app.cli.terminal import err, say

PLAIN_S = 10.0  # between two lines where there is no terminal
WINDOW_S = 60.0  # over which the rate is taken: pictures differ, and so do their times


def duration(seconds: float) -> str:
    """`7 s`, `3:07`, `1:02:03`, `2 d 3 h`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}"
    if whole < 86_400:
        return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{whole // 86_400} d {whole // 3600 % 24} h"


def speed(rate: float) -> str:
    """Files, by the second or by the minute."""
    return f"{rate:.1f}/s" if rate >= 1 else f"{rate * 60:.1f}/min"


class Bar:
    """Use it in `with`.

    Args:
        before: what the file held already.
    """

    def __init__(self, task: str, before: Counts, fleet: Fleet) -> None:
        self._fleet = fleet
        self._total, self._failed = before.total, before.failed
        self._done = before.answered + before.failed
        self._begun = self._told = time.monotonic()
        self._first = self._done
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(None),
            _Column("count"),
            _Column("rate"),
            _Column("left"),
            _Column("rest", self._rest),
            console=err,
            expand=True,
            transient=True,  # the summary says it all
            speed_estimate_period=WINDOW_S,
            disable=not err.is_terminal,
        )
        self._row = self._progress.add_task(task, total=self._total, completed=self._done)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def took(self, outcome: Outcome) -> None:
        """One more has its line."""
        self._done += 1
        self._failed += outcome.error is not None
        self._progress.update(self._row, completed=self._done)
        now = time.monotonic()
        if not err.is_terminal and now - self._told >= PLAIN_S:
            self._told = now
            rate = (self._done - self._first) / (now - self._begun)
            say(
                f"{self._done:,} of {self._total:,}, {speed(rate)}, "
                f"{duration((self._total - self._done) / rate)} left, {self._failed:,} failed, "
                f"{self._fleet.running} at once"
            )

    def _rest(self) -> str:
        failed = f"{self._failed:,} failed, " if self._failed else ""
        return f"{failed}{self._fleet.running} at once"


class _Column(ProgressColumn):
    """A few words about a run, as they are when they are drawn."""

    def __init__(self, what: str, rest: Callable[[], str] = str) -> None:
        super().__init__()
        self._what, self._say = what, rest

    def render(self, task: Task) -> Text:
        match self._what:
            case "count":
                return Text(f"{task.completed:,.0f}/{task.total:,.0f}", "green")
            case "rate":
                return Text(speed(task.speed) if task.speed else "", "cyan")
            case "left":
                left = task.time_remaining
                return Text("" if left is None else f"{duration(left)} left", "cyan")
            case _:
                return Text(self._say(), "dim")
