"""A checkout for each test: the scripts are copied, the code is linked, PATH has few commands."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Self

import pytest

from tests.fake_ollama.server import FakeOllama
from tests.polling import HANG_S

ROOT = Path(__file__).parents[2]
# The commands that the scripts may use. PATH has no others, so that tests do not depend on an
# Ollama or a GPU of this machine.
TOOLS = "awk bash cat df dirname du find grep id mkdir rm sed sh sleep tail"


@dataclass
class Checkout:
    """A folder that looks like the repository, and the environment its scripts run in."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, name: str, script: str) -> None:
        """Put a command on PATH; it replaces a tool of the same name."""
        path = self.folder / "bin" / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(
        self, script: str, *arguments: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a script to its end, from another folder than its own."""
        return subprocess.run(
            [self.folder / script, *arguments],
            cwd=self.folder.parent,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, script: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a script in a session of its own: see `session`."""
        return subprocess.Popen(
            [self.folder / script, *arguments],
            cwd=self.folder.parent,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    folder = tmp_path / "a checkout"  # a space: the scripts must quote
    (folder / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin").mkdir(parents=True)
    for script in ROOT.glob("*.sh"):
        shutil.copy(script, folder)
    for name in ("app", "examples", "server.py", *(f.name for f in ROOT.glob("requirements*"))):
        (folder / name).symlink_to(ROOT / name)
    for tool in TOOLS.split():
        found = shutil.which(tool)
        assert found, f"the scripts need {tool}"
        (folder / "bin" / tool).symlink_to(found)
    # The bare interpreter, without the packages of the virtual environment ...
    bare = Path(sys.executable).resolve()
    (folder / "bin" / "python3").symlink_to(bare)
    # ... and the environment itself, behind a command: no script can clear the real one.
    python = folder / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    environment = {
        "PATH": str(folder / "bin"),
        "HOME": str(tmp_path),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "OLLAMA_SITE": "http://127.0.0.1:9",  # nothing answers on the discard port
    }
    return Checkout(folder, environment)


@pytest.fixture
def fake_ollama() -> Iterator[FakeOllama]:
    """An Ollama without a model."""
    with FakeOllama("0.12.7", models={}) as fake:
        yield fake


class Site:
    """The part of Ollama's web site that serves the installer."""

    def __init__(self, installer: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.send_response(200)
                self.end_headers()

            def do_GET(self) -> None:
                self.do_HEAD()
                self.wfile.write(installer.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def session(leader: int) -> list[int]:
    """The living processes of the session that `leader` started."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # pid (name) state ppid pgrp session ...
            state, _, _, session_id = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # ended while we looked
            continue
        if int(session_id) == leader and state != "Z":
            members.append(int(stat.parent.name))
    return members


def ends(leader: int, timeout_s: float = HANG_S) -> bool:
    """Whether all processes of the session end within `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while session(leader):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
