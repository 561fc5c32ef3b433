"""The server of this repository as a process, over real HTTP."""

import os
import sys
from pathlib import Path

from tests.background_server import REPO, BackgroundServer, answers
from tests.ports import free_port

__all__ = ["REPO", "Server"]

INHERITED = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "COVERAGE_PROCESS_START")


class Server(BackgroundServer):
    """`python server.py` on a free port; settings as environment variables.

    Args:
        program: the arguments of Python, in place of `server.py`.
    """

    def __init__(self, log: Path, program: str = "server.py", **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        # Tests count what an engine is asked: the canary only where it is wanted.
        own = {"HOST": "127.0.0.1", "PORT": str(self.port), "CANARY": "false"}
        super().__init__(
            [sys.executable, *program.split()],
            log,
            ready=answers(f"{self.url}/health"),
            environment={**environment, **own, **settings},
        )
