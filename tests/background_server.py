"""A program that runs in the background of a test.

with BackgroundServer([sys.executable, "server.py"], log, ready=answers(url), environment={...}):
    httpx.get(url)
"""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.polling import HANG_S, wait_until

REPO = Path(__file__).parents[1]
STOP_S = 10.0  # from SIGTERM to SIGKILL
TAIL = 20  # lines of the log that a failure reports
COLOURS = re.compile(r"\x1b\[[0-9;]*m")

Ready = Callable[["BackgroundServer"], bool]


def answers(url: str, status: int | None = None) -> Ready:
    """Ready when `url` answers: with `status`, or with any status."""

    where = urlsplit(url)

    def ready(_: "BackgroundServer") -> bool:
        connection = HTTPConnection(where.netloc, timeout=5)  # cheaper to poll with than httpx
        try:
            connection.request("GET", where.path or "/")
            return status in (None, connection.getresponse().status)
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    return ready


def logs(text: str) -> Ready:
    """Ready when the log contains `text`."""
    return lambda server: text in server.log()


class BackgroundServer:
    """A program as a process: `start`, `wait_until_ready`, `stop`. As a context manager it does
    all three; when the block fails, the end of the log is printed.

    Args:
        command: the program and its arguments.
        log: the file that standard output and standard error are appended to.
        ready: whether the program can be used; it is polled.
        environment: all environment variables of the program.
        group: run the program in a session of its own, and signal all processes of it.
        stop_signal: what asks the program to end.
        preexec_fn: as of `subprocess.Popen`.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        *,
        ready: Ready,
        environment: Mapping[str, str],
        cwd: Path = REPO,
        group: bool = False,
        stop_signal: signal.Signals = signal.SIGTERM,
        preexec_fn: Callable[[], object] | None = None,
    ) -> None:
        self.command = command
        self.log_path = log
        self.environment = environment
        self._ready = ready
        self._cwd = cwd
        self._group = group
        self._stop_signal = stop_signal
        self._preexec_fn = preexec_fn
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        self.wait_until_ready()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        tail = self.tail() if kind else ""
        self.stop()
        if kind:
            print(f"The log of {self.command[0]} ends with:\n{tail}")

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The process. Raises RuntimeError when it was not started."""
        if self._process is None:
            raise RuntimeError(f"{self.command} was not started.")
        return self._process

    def running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the program. It is not ready yet."""
        with self.log_path.open("ab") as out:
            self._process = subprocess.Popen(
                self.command,
                cwd=self._cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=self._group,
                preexec_fn=self._preexec_fn,  # noqa: PLW1509
            )

    def wait_until_ready(self, timeout_s: float = HANG_S) -> None:
        """Wait until the program can be used.

        Raises:
            RuntimeError: it has ended, or it is not ready within `timeout_s` seconds; with the end
                of its log. It is stopped then.
        """
        with suppress(AssertionError):
            wait_until(lambda: not self.running() or self._ready(self), timeout_s)
            if self.running():
                return
        tail = self.tail()
        self.stop()
        raise RuntimeError(f"{self.command} did not start. Its log ends with:\n{tail}")

    def wait_for_log(self, text: str, timeout_s: float = HANG_S) -> None:
        """Wait until the log contains `text`.

        Raises:
            AssertionError: the program has ended, or the time has passed; with the end of the log.
        """
        with suppress(AssertionError):
            wait_until(lambda: text in self.log() or not self.running(), timeout_s)
        assert text in self.log(), self.tail()

    def stop(self) -> None:
        """Ask the program to end, and kill it after `STOP_S` seconds. Does nothing when it has
        ended."""
        if self._process is None:
            return
        self._signal(self._stop_signal)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def log(self) -> str:
        """All that the program has printed, over restarts; without colours."""
        if not self.log_path.exists():
            return ""
        return COLOURS.sub("", self.log_path.read_text(errors="replace"))

    def tail(self, lines: int = TAIL) -> str:
        """The last lines of the log."""
        return "\n".join(self.log().splitlines()[-lines:])

    def _signal(self, number: signal.Signals) -> None:
        if self._group:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
