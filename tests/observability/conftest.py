"""A server as an operator runs it: with keys and JSON in its log, on the real daemon."""

from collections.abc import Iterator

import httpx
import pytest

from tests.inference_server import Server
from tests.ollama_daemon.process import Daemon

KEY = "sesame-4711"


@pytest.fixture(scope="package")
def server(_daemon_process: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With the tiny model as its default."""
    settings = {"MODEL_NAME": "tiny-vlm", "NUM_CTX": "4096", "API_KEYS": f"other,{KEY}"}
    log = tmp_path_factory.mktemp("observed") / "server.log"
    with Server(log, OLLAMA_HOST=_daemon_process.url, LOG_FORMAT="json", **settings) as server:
        yield server


@pytest.fixture
def client(server: Server, daemon: Daemon) -> Iterator[httpx.Client]:
    """A client with a key; the daemon runs."""
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=server.url, trust_env=False, timeout=120, headers=headers) as client:
        yield client
