"""The server as a process of the test run, over real HTTP."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.polling import HANG_S
from tests.ports import free_port

REPO = Path(__file__).parents[1]


class Server:
    """`python server.py` on a free port; settings as environment variables.

    Args:
        program: what is run in place of `server.py`.
    """

    def __init__(self, log: Path, program: str = "server.py", **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = log
        kept = {"PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "COVERAGE_PROCESS_START"}
        environment = {name: value for name, value in os.environ.items() if name in kept}
        # Tests count what an engine is asked: the canary only where it is wanted.
        own = {"HOST": "127.0.0.1", "PORT": str(self.port), "CANARY": "false"}
        environment |= {**own, **settings}
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, program],
                cwd=REPO,
                env=environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def __enter__(self) -> Self:
        deadline = time.monotonic() + HANG_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                httpx.get(f"{self.url}/health", trust_env=False)
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return self
        self.stop()
        raise RuntimeError(f"The server did not start:\n{self.log()}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def log(self) -> str:
        """What the server wrote, without colours."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.log_path.read_text(errors="replace"))
