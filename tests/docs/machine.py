"""A user's machine: the repository, an environment with the packages, a home of its own, and a
running server. It runs one command at a time."""

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.inference_server import REPO
from tests.ports import free_port

TIMEOUT_S = 300.0
# Our server, wherever the documents say that it is.
ADDRESS = re.compile(r"(?:localhost|127\.0\.0\.1):8000")
# What stays until Ctrl-C, and the line that says that it is there.
STAYS = {"./run_server.sh": "Ready: ", "python server.py": "serving"}
# curl reports errors of the server as its own, and goes to loopback itself.
CURLRC = 'silent\nshow-error\nfail-with-body\nnoproxy = "*"\n'


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended: its status, what it printed, after how many seconds."""

    status: int
    output: str
    seconds: float

    @property
    def ok(self) -> bool:
        return self.status == 0


class Machine:
    """`folder` gets the repository. `server` is the address that commands find at port 8000."""

    def __init__(self, folder: Path, server: str, **environment: str) -> None:
        self.repository = folder / "qwen3-vl"
        self.server = server.removeprefix("http://")
        self.environment = {
            "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
            "HOME": str(folder / "home"),
            "LANG": "C.UTF-8",
            "PORT": self.server.rpartition(":")[2],
            "SERVER_URL": server,
            "URL": server,
            "API_KEY": "",
            **environment,
        }
        for name in ("home", "bin"):
            (folder / name).mkdir()
        (folder / "home" / ".curlrc").write_text(CURLRC)
        (folder / "bin" / "python3").symlink_to(Path(sys.executable).resolve())

    def copy_repository(self) -> None:
        """The files as they are here, and an environment that has its packages already."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "-co", "--exclude-standard", ":!tests", ":!benchmarks"],
            cwd=REPO,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for name in filter(None, listed.split("\0")):
            if (REPO / name).is_file():
                (self.repository / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(REPO / name, self.repository / name)
        venv = self.repository / ".venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        (here,) = venv.glob("lib/python*/site-packages")
        (here / "packages.pth").write_text(sysconfig.get_path("purelib"))

    def run(self, command: str, exports: Iterable[str] = ()) -> Result:
        """Run it as bash does, after the exports; what stays until Ctrl-C gets one."""
        ready = next((said for end, said in STAYS.items() if command.endswith(end)), "")
        script = "\n".join((*exports, ADDRESS.sub(self.server, command)))
        path = f"{self.repository / '.venv' / 'bin'}:{self.environment['PATH']}"
        environment = self.environment | {"PATH": path}
        if ready:
            environment["PORT"] = str(free_port())
        started = time.monotonic()
        with subprocess.Popen(
            ["bash", "-o", "pipefail", "-c", script],
            cwd=self.repository,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            output, done = _watch(process, ready)
        printed = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.decode(errors="replace"))
        status = 0 if ready and done else process.returncode
        return Result(status, printed, time.monotonic() - started)


def _watch(process: subprocess.Popen[bytes], ready: str) -> tuple[bytes, bool]:
    """All that it prints, to its end; with `ready`, Ctrl-C is sent once that was printed. Whether
    it then ended by that signal, in time."""
    assert process.stdout is not None
    output, told, deadline = b"", False, time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        if not select.select([process.stdout], [], [], 1)[0]:
            continue
        piece = os.read(process.stdout.fileno(), 65536)
        if not piece:
            return output, told and process.wait(60) in (0, 130, -signal.SIGINT)
        output += piece
        if ready and not told and ready.encode() in output:
            told = True
            os.killpg(process.pid, signal.SIGINT)
    os.killpg(process.pid, signal.SIGKILL)
    return output + b"\nIt did not end in time.", False
