"""Running servers for the commands: on the embedded engine, and on the real daemon."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.models.gpu import detect_gpus
from tests.inference_server import Server
from tests.ollama_daemon.process import Daemon
from tests.ports import free_port


@pytest.fixture(scope="session")
def daemon_server(
    _daemon_process: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """It wants a key."""
    log = tmp_path_factory.mktemp("daemon") / "server.log"
    settings = {"OLLAMA_HOST": _daemon_process.url, "MODEL_NAME": "tiny-vlm", "NUM_CTX": "4096"}
    with Server(log, API_KEY="secret", **settings) as server:
        yield server


@pytest.fixture
def without_gpu(tmp_path: Path) -> dict[str, str]:
    """A machine without GPU and Ollama, whose ports are free: settings of `doctor`."""
    if detect_gpus().gpus:
        pytest.skip("this machine has a GPU of its own")
    return {"PATH": str(tmp_path), "PORT": str(free_port()), "COLUMNS": "200"}
