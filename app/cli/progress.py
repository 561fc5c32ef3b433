"""Progress of a batch: a bar on a terminal, else a line at intervals."""

import time
from collections.abc import Callable
from typing import Self

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from app.bulk.attempt import Outcome
from app.bulk.server_pool import ServerPool
from app.bulk.worklist import Counts
from app.cli.terminal import err, print_message

LOG_INTERVAL_S = 10.0  # between two lines without a terminal
RATE_WINDOW_S = 60.0  # of the rate, long enough to average over different images


def format_duration(seconds: float) -> str:
    """`7 s`, `3:07`, `1:02:03`, `2 d 3 h`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}"
    if whole < 86_400:
        return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{whole // 86_400} d {whole // 3600 % 24} h"


def format_rate(rate: float) -> str:
    """Files per second or per minute."""
    return f"{rate:.1f}/s" if rate >= 1 else f"{rate * 60:.1f}/min"


class BatchProgress:
    """Use it in `with`.

    Args:
        before: the state when the run starts.
    """

    def __init__(self, task: str, before: Counts, pool: ServerPool) -> None:
        self._pool = pool
        self._total, self._failed = before.total, before.failed
        self._done = before.answered + before.failed
        self._started_at = self._logged_at = time.monotonic()
        self._done_before = self._done
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(None),
            _Column("count"),
            _Column("rate"),
            _Column("left"),
            _Column("rest", self._status),
            console=err,
            expand=True,
            transient=True,  # the summary replaces it
            speed_estimate_period=RATE_WINDOW_S,
            disable=not err.is_terminal,
        )
        self._row = self._progress.add_task(task, total=self._total, completed=self._done)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, outcome: Outcome) -> None:
        """Count one more result."""
        self._done += 1
        self._failed += outcome.error is not None
        self._progress.update(self._row, completed=self._done)
        now = time.monotonic()
        if not err.is_terminal and now - self._logged_at >= LOG_INTERVAL_S:
            self._logged_at = now
            rate = (self._done - self._done_before) / (now - self._started_at)
            print_message(
                f"{self._done:,} of {self._total:,}, {format_rate(rate)}, "
                f"{format_duration((self._total - self._done) / rate)} left, "
                f"{self._failed:,} failed, {self._pool.running} at once"
            )

    def _status(self) -> str:
        failed = f"{self._failed:,} failed, " if self._failed else ""
        return f"{failed}{self._pool.running} at once"


class _Column(ProgressColumn):
    """A text column that is computed when it is drawn."""

    def __init__(self, kind: str, status: Callable[[], str] = str) -> None:
        super().__init__()
        self._what, self._status = kind, status

    def render(self, task: Task) -> Text:
        match self._what:
            case "count":
                return Text(f"{task.completed:,.0f}/{task.total:,.0f}", "green")
            case "rate":
                return Text(format_rate(task.speed) if task.speed else "", "cyan")
            case "left":
                left = task.time_remaining
                return Text("" if left is None else f"{format_duration(left)} left", "cyan")
            case _:
                return Text(self._status(), "dim")
