"""`python -m deploy.ray` as a process of the test run, with a test daemon on each replica."""

import hashlib
import os
import secrets
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.background_server import BackgroundServer, logs
from tests.inference_server import REPO
from tests.install_lock import one_at_a_time
from tests.ollama_daemon.install import install
from tests.ollama_daemon.models import store
from tests.polling import wait_until
from tests.ports import free_port

LISTED = REPO / "requirements-ray.txt"
START_S = 300
PORTS = 16  # that are looked at, from the first replica's on


@one_at_a_time
def python() -> Path:
    """The interpreter that has Ray, installed once into `.cache` (700 MB). The test is skipped when
    it cannot be installed."""
    digest = hashlib.sha256(LISTED.read_bytes()).hexdigest()[:8]
    home = REPO / ".cache" / f"ray-{digest}"
    done = home / "done"
    if not done.exists():
        uv = [sys.executable, "-m", "uv"]
        for command in (["venv", "--clear", str(home)], ["pip", "install", "--python", str(home)]):
            listed = ["-r", str(LISTED)] if command[0] == "pip" else []
            told = subprocess.run(
                [*uv, *command, "-q", *listed], capture_output=True, text=True, check=False
            )
            if told.returncode:
                pytest.skip(f"Ray cannot be installed: {told.stderr.strip().splitlines()[-1]}")
        done.touch()
    return home / "bin" / "python"


def environment(**settings: str) -> dict[str, str]:
    """The environment of a machine that serves the slow model; all ports are free ones."""
    home = install()
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {
        "PORT": str(free_port()),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(free_port()),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": "65535",
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
        "DASHBOARD": "false",
        "CPUS_PER_REPLICA": "0.5",
        "ENGINE_COMMAND": f"{home}/ollama-lib serve",
        "LD_LIBRARY_PATH": str(home),
        "OLLAMA_MODELS": str(store() / "models"),
        "OLLAMA_NOPRUNE": "1",
        "MODEL_NAME": "slow-vlm",
        "NUM_CTX": "4096",
        **settings,
    }


class Cluster(BackgroundServer):
    """Ray on one machine."""

    def __init__(self, log: Path, **settings: str) -> None:
        self.python = python()
        values = environment(**settings)
        self.url = f"http://127.0.0.1:{values['PORT']}"
        self._first = int(values["RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT"])
        super().__init__(
            [self.python, "-m", "deploy.ray"], log, ready=logs("Ready: "), environment=values
        )

    def wait_until_ready(self, timeout_s: float = START_S) -> None:
        super().wait_until_ready(timeout_s)

    def stop(self) -> None:
        """End Ray, and all processes that it leaves behind."""
        if self._process is None:
            return
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(60)
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def run(self, *arguments: str, **settings: str) -> str:
        """Run another program that talks to this cluster; what it prints."""
        address = self.log().partition("RAY_ADDRESS=")[2].partition(")")[0]
        told = subprocess.run(
            [self.python, *arguments],
            cwd=REPO,
            env={**self.environment} | {"RAY_ADDRESS": address} | settings,
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )
        assert told.returncode == 0, told.stdout + told.stderr
        return told.stdout

    def processes(self) -> list[int]:
        """The living processes of the cluster, which have its token in their environment."""
        token = self.environment["RAY_AUTH_TOKEN"].encode()
        return [pid for pid in _pids() if token in _read(pid, "environ")]

    def replicas(self) -> dict[int, int]:
        """The replicas that answer: port and process id."""
        found = {}
        for port in range(self._first, self._first + PORTS):
            with suppress(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False, timeout=120)
                found[port] = _listener(port, self.processes())
        return found

    def wait_for_replicas(self, count: int) -> float:
        """Wait until `count` replicas answer; how long that took, in seconds."""
        return wait_until(lambda: len(self.replicas()) == count)


def below(pid: int) -> list[int]:
    """The descendants of a process."""
    children = [child for child in _pids() if _parent(child) == pid]
    return children + [other for child in children for other in below(child)]


def lives(pid: int) -> bool:
    return b"\0" in _read(pid, "cmdline")  # a zombie has none


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def _parent(pid: int) -> int:
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if fields else 0


def _read(pid: int, name: str) -> bytes:
    with suppress(OSError):  # ended while we looked
        return Path(f"/proc/{pid}/{name}").read_bytes()
    return b""


def _listener(port: int, among: list[int]) -> int:
    """The process that listens on a port of IPv4; 0 when none is found."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and int(fields[1].partition(":")[2], 16) == port:
            socket = f"socket:[{fields[9]}]"
            for pid in among:
                with suppress(OSError):
                    if any(
                        str(fd.readlink()) == socket for fd in Path(f"/proc/{pid}/fd").iterdir()
                    ):
                        return pid
    return 0
