"""The two servers: a commit in a worktree of its own, and a process in front of an engine."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from tests.ports import free_port

REPO = Path(__file__).parents[2]
START_S = 60.0
INHERITED = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH")


@contextlib.contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """The files of a commit, in a temporary folder.

    Raises:
        subprocess.CalledProcessError: there is no such commit; git has said so.
    """
    with tempfile.TemporaryDirectory(prefix="same-answers-") as parent:
        folder = Path(parent, "checkout")
        _git("worktree", "add", "--quiet", "--detach", str(folder), commit)
        try:
            yield folder
        finally:
            _git("worktree", "remove", "--force", str(folder))


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=REPO, check=True)  # noqa: S603, S607 - our arguments


class Server:
    """`server.py` of a checkout on a free loopback port, with JSON logs.

    It runs in an empty folder, so that no `.env` file counts, and its sets have the same order in
    each process.
    """

    def __init__(self, checkout: Path, folder: Path, settings: Mapping[str, str]) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._log_path = folder / f"{len(list(folder.iterdir()))}.log"
        work = folder / f"{self._log_path.stem}.work"
        work.mkdir()
        own = {"HOST": "127.0.0.1", "PORT": self.url.rpartition(":")[2]}
        quiet = {"CANARY": "false", "LOG_FORMAT": "json", "PYTHONHASHSEED": "0"}
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        with self._log_path.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and program
                [sys.executable, str(checkout / "server.py")],
                cwd=work,
                env={**inherited, **own, **quiet, **settings},
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def wait(self) -> None:
        """Return when it answers.

        Raises:
            RuntimeError: it ended, or did not answer in time; the message has its log.
        """
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{self.url}/health", trust_env=False)
                return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"The server did not start:\n{self.log()}")

    def stop(self) -> None:
        """End the process, by force where it does not end by itself within 5 s."""
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def log(self) -> str:
        return self._log_path.read_text(errors="replace")


@contextlib.contextmanager
def servers(
    checkouts: tuple[Path, Path], folder: Path, settings: Mapping[str, str]
) -> Iterator[tuple[Server, Server]]:
    """A server of each checkout; both answer. Their logs stay in the folder."""
    started: list[Server] = []
    try:
        started += [Server(one, folder, settings) for one in checkouts]
        for server in started:
            server.wait()
        yield started[0], started[1]
    finally:
        for server in started:
            server.stop()
