"""The embedded engine as a process of the test run."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.background_server import BackgroundServer, answers
from tests.ports import free_port


@contextmanager
def embedded_engine(log: Path) -> Iterator[str]:
    """Start the engine, wait for its first answer, and yield its URL."""
    url = f"http://127.0.0.1:{free_port()}"
    with BackgroundServer(
        [sys.executable, "-m", "app.embedded"],
        log,
        ready=answers(f"{url}/api/version"),
        environment={"PATH": "/usr/bin:/bin", "OLLAMA_HOST": url},
    ):
        yield url
