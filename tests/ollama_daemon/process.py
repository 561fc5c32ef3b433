"""A real Ollama daemon as a process of the test run, and what its log tells."""

import atexit
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import httpx
import pytest

from tests.background_server import BackgroundServer, answers
from tests.ollama_daemon.install import install
from tests.ollama_daemon.models import create_missing, store
from tests.polling import HANG_S, wait_until
from tests.ports import free_port

PR_SET_PDEATHSIG = 1
STOP_S = 5.0  # from SIGTERM to SIGKILL
UNREAD_S = 3.0
_libc = ctypes.CDLL(None)  # loaded before any fork

# [GIN] 2026/11/23 - 18:16:40 | 200 |  349.067643ms |       127.0.0.1 | POST     "/api/chat"
_GIN = re.compile(
    r'\[GIN\] (\S+ - \S+) \| +(\d+) \| +(\S+) \| +\S+ \| (\S+) +"([^"]*)"',
)
# ... level=TRACE ... msg="completion request" prompt="<|im_start|>user\n..."
_PROMPT = re.compile(r'msg="completion request" prompt=("(?:[^"\\]|\\.)*")')
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}


@dataclass(frozen=True)
class Access:
    """One request, as the daemon logs it at its end."""

    time: str
    status: int
    seconds: float
    method: str
    path: str


@dataclass(frozen=True)
class Since:
    """What the daemon logged after a mark."""

    lines: list[str]
    requests: list[Access]
    prompts: list[str]  # as rendered for the model; an image is "[img-0]"

    def of(self, path: str) -> list[Access]:
        """The requests to `path`, such as "/api/chat"."""
        return [request for request in self.requests if request.path == path]


def given() -> Path | None:
    """The binary that OLLAMA_BIN names, which replaces the installed one."""
    path = os.environ.get("OLLAMA_BIN", "")
    return Path(path) if path else None


class Daemon(BackgroundServer):
    """A daemon on a free loopback port with the tiny models; tests stop, kill and freeze it.

    Call `start` from a thread that outlives the daemon, such as the main thread: the kernel ends
    the daemon when the thread that started it ends.
    """

    def __init__(self, **environment: str) -> None:
        """`environment` is added to the daemon's, e.g. OLLAMA_MAX_QUEUE="2"."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = Path(tempfile.mkdtemp(prefix="test-daemon-"))
        super().__init__(
            ["ollama", "serve"],  # which one is known when it is started
            self._folder / "ollama.log",
            ready=answers(f"{self.url}/api/version", 200),
            environment=environment,
            group=True,
            preexec_fn=_end_with_parent,  # only a system call: no lock to wait for
        )
        self._own = environment
        atexit.register(self.close)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        self.close()

    @property
    def pid(self) -> int:
        """The daemon's process id; RuntimeError when it was not started."""
        return self.process.pid

    @property
    def version(self) -> str:
        """The version that the daemon reports."""
        told = httpx.get(f"{self.url}/api/version", trust_env=False, timeout=120).json()
        return str(told["version"])

    def start(self) -> None:
        """Start the daemon (again, on the same port), wait until it answers, create missing models.
        Does nothing when it runs."""
        if self.running():
            return
        binary = given() or install() / "ollama-lib"
        self.command = [binary, "serve"]
        self.environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._folder),
            "LD_LIBRARY_PATH": str(binary.parent),
            "OLLAMA_HOST": f"127.0.0.1:{self.port}",
            "OLLAMA_MODELS": str(store() / "models"),
            "OLLAMA_NOPRUNE": "1",  # other daemons write into the same store
            "OLLAMA_NUM_PARALLEL": "1",
            "OLLAMA_DEBUG": "2",  # trace: logs the rendered prompts
            **self._own,
        }
        super().start()
        self.wait_until_ready()
        with httpx.Client(base_url=self.url, trust_env=False, timeout=HANG_S) as client:
            create_missing(client)

    def stop(self) -> None:
        """End the daemon and its runners; `start` brings it back. Does nothing when stopped."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S)
        self.kill()

    def kill(self) -> None:
        """SIGKILL the daemon, as in a crash, and the runners it leaves behind."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        while runners := self.runners():
            for pid in runners:
                _kill(pid)
            time.sleep(0.01)
        self._process = None

    def close(self) -> None:
        """Stop for good and remove the log."""
        atexit.unregister(self.close)
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def runners(self) -> list[int]:
        """Process ids of the daemon's runners, one for each loaded model."""
        group = self.pid  # its own session and group, which its children inherit
        return [pid for pid in _group_members(group) if pid != group]

    def kill_runner(self) -> None:
        """SIGKILL every runner; RuntimeError when there is none."""
        runners = self.runners()
        if not runners:
            raise RuntimeError("No model is loaded, so there is no runner to kill.")
        for pid in runners:
            _kill(pid)

    def mark(self) -> int:
        """A position in the log, for `since` and `tokens`."""
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def since(self, mark: int) -> Since:
        """What was logged after `mark`. A request's line comes when the request is over.

        The format is that of the installed daemon: with another one a test that asks is skipped.
        """
        if given():
            pytest.skip(f"The log of the daemon in OLLAMA_BIN ({given()}) is not read.")
        text = self.log_path.read_bytes()[mark:].decode(errors="replace")
        requests = [
            Access(moment, int(status), _seconds(duration), method, path)
            for moment, status, duration, method, path in _GIN.findall(text)
        ]
        # Go quotes what is not printable as JSON does, but for control characters we never send.
        prompts = [json.loads(quoted) for quoted in _PROMPT.findall(text)]
        return Since(text.splitlines(), requests, prompts)

    def wait_for_requests(self, mark: int, path: str, count: int = 1) -> list[Access]:
        """Wait until `count` requests to `path` have ended since `mark`; those that have."""
        wait_until(lambda: len(self.since(mark).of(path)) >= count)
        return self.since(mark).of(path)

    def tokens(self, mark: int) -> int:
        """How many tokens the runners have generated since `mark`, by their log."""
        with self.log_path.open("rb") as log:
            log.seek(mark)
            return log.read().count(b" msg=decoded ")

    def wait_for_tokens(self, mark: int, count: int = 1) -> None:
        """Wait until the runners have generated `count` tokens since `mark`. The log of another
        daemon (OLLAMA_BIN) is not read: then wait as long as a model needs to load."""
        if given():
            time.sleep(UNREAD_S)
        else:
            wait_until(lambda: self.tokens(mark) >= count)


def _end_with_parent() -> None:
    """In the child: ask the kernel for SIGTERM when the test run dies, however it dies."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _group_members(group: int) -> list[int]:
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended while we looked
            # pid (name) state ppid pgrp ...; the name may hold spaces and parentheses
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group and state != "Z":
                members.append(int(stat.parent.name))
    return members


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _seconds(duration: str) -> float:
    """Go's notation ("1m2.5s", "349.06ms", "75.3µs") in seconds."""
    parts = re.findall(r"([\d.]+)(h|ms|m|µs|ns|s)", duration)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
