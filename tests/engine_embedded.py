"""The embedded engine as a process of the test run."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.ports import free_port
from tests.server import REPO


@contextlib.contextmanager
def embedded_engine(log: Path) -> Iterator[str]:
    """Starts the engine, waits for its first answer, and yields its URL."""
    url = f"http://127.0.0.1:{free_port()}"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.embedded"],
            cwd=REPO,
            env={"PATH": "/usr/bin:/bin", "OLLAMA_HOST": url},
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{url}/api/version", trust_env=False)
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The embedded engine did not start: {log.read_text()}")
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)
