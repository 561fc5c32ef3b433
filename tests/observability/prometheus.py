"""A real Prometheus: Debian's package, unpacked into `.cache/prometheus`, run on loopback.

Nothing is installed and no service is started. The version is that of the machine's release.
"""

import contextlib
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.background_server import BackgroundServer, answers
from tests.inference_server import REPO
from tests.install_lock import one_at_a_time
from tests.polling import HANG_S
from tests.ports import free_port

CACHE = REPO / ".cache"
HOME = CACHE / f"prometheus-{platform.machine()}"
RULES = REPO / "deploy" / "prometheus"


@one_at_a_time
def program(name: str) -> str:
    """The path of `prometheus` or `promtool`; the test is skipped where it cannot be had."""
    if found := shutil.which(name):
        return found
    if not HOME.exists():
        _fetch()
    return str(HOME / "usr" / "bin" / name)


def _fetch() -> None:
    if not shutil.which("apt-get"):
        pytest.skip("Prometheus is not installed, and there is no apt-get to fetch it with")
    CACHE.mkdir(exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="prometheus-", dir=CACHE))
    try:
        if _run(work, "apt-get", "-q", "download", "prometheus") and os.geteuid() == 0:
            _run(work, "apt-get", "-q", "update")  # a new machine has no lists
            _run(work, "apt-get", "-q", "download", "prometheus")
        packages = list(work.glob("prometheus_*.deb"))
        if not packages:
            pytest.skip("Prometheus is not installed, and apt-get could not fetch it")
        if error := _run(work, "dpkg-deb", "-x", str(packages[0]), "root"):
            pytest.skip(f"Prometheus could not be unpacked: {error}")
        with contextlib.suppress(OSError):  # another process was first
            (work / "root").rename(HOME)
    finally:
        shutil.rmtree(work)


def _run(folder: Path, *command: str) -> str:
    """Empty where it went well, else the last line that was said."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    said = (done.stderr.strip() or "no message").splitlines()[-1]
    return said if done.returncode else ""


def promtool(*arguments: str, folder: Path = RULES, stdin: str = "") -> str:
    """What it says; the test fails where it finds anything."""
    command = [program("promtool"), *arguments]
    done = subprocess.run(
        command, cwd=folder, input=stdin, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


class Prometheus:
    """One that runs, with deploy/prometheus as its configuration."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=120)

    def get(self, path: str, **params: str) -> Any:
        """`data` of an answer of its API."""
        answer = self._http.get(f"/api/v1/{path}", params=params).json()
        assert answer["status"] == "success", (params, answer)
        return answer["data"]

    def values(self, expression: str) -> list[float]:
        """Of each series that a query finds now."""
        return [float(one["value"][1]) for one in self.get("query", query=expression)["result"]]

    def wait_for(self, expression: str, seconds: float = HANG_S) -> None:
        """Wait until a query has a result."""
        deadline = time.monotonic() + seconds
        while not self.values(expression):
            assert time.monotonic() < deadline, f"{expression} found nothing in {seconds:g} s"
            time.sleep(0.2)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Prometheus]:
    """Run Prometheus with the configuration in `folder`, which also gets its data and its log."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    log, ready = folder / "prometheus.log", answers(f"{url}/-/ready", 200)
    with BackgroundServer(command, log, ready=ready, environment=os.environ, cwd=folder):
        yield Prometheus(url)
