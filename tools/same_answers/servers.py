"""The two servers: a commit in a worktree of its own, and a process in front of an engine."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.background_server import REPO, BackgroundServer, answers
from tests.ports import free_port

INHERITED = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH")


@contextlib.contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """The files of a commit, in a temporary folder.

    Raises:
        subprocess.CalledProcessError: there is no such commit; git has said so.
    """
    with tempfile.TemporaryDirectory(prefix="same-answers-") as parent:
        folder = Path(parent, "checkout")
        git = ["git", "-C", str(REPO), "worktree"]
        try:
            add = [*git, "add", "--quiet", "--detach", str(folder), commit]
            subprocess.run(add, check=True)  # noqa: S603 - our own arguments
            yield folder
        finally:  # twice --force: also one that was interrupted while it was made
            remove = [*git, "remove", "--force", "--force", str(folder)]
            subprocess.run(remove, check=False, capture_output=True)  # noqa: S603


class Server(BackgroundServer):
    """`server.py` of a checkout on a free loopback port, with JSON logs.

    It runs in an empty folder, so that no `.env` file counts, and its sets have the same order in
    each process.
    """

    def __init__(self, checkout: Path, folder: Path, settings: Mapping[str, str]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        folder.mkdir()
        own = {"HOST": "127.0.0.1", "PORT": str(port)}
        quiet = {"CANARY": "false", "LOG_FORMAT": "json", "PYTHONHASHSEED": "0"}
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        super().__init__(
            [sys.executable, str(checkout / "server.py")],
            folder.with_suffix(".log"),
            ready=answers(f"{self.url}/health"),
            environment={**inherited, **own, **quiet, **settings},
            cwd=folder,
        )


@contextlib.contextmanager
def servers(
    checkouts: tuple[Path, Path], folder: Path, settings: Mapping[str, str]
) -> Iterator[tuple[Server, Server]]:
    """A server of each checkout; both answer. Their logs stay in the folder."""
    old, new = checkouts
    with (
        Server(old, folder / "old", settings) as first,
        Server(new, folder / "new", settings) as second,
    ):
        yield first, second
