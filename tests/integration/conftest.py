"""The server in front of the real daemon, over real HTTP."""

from collections.abc import Iterator

import httpx
import pytest

from tests.fake_ollama.server import FakeOllama
from tests.inference_server import Server
from tests.ollama_daemon.process import Daemon


@pytest.fixture
def client(on_daemon: Server, daemon: Daemon) -> Iterator[httpx.Client]:
    """A client of that server, for whom nothing is kept; the daemon behind it runs."""
    headers = {"Cache-Control": "no-store"}
    with httpx.Client(
        base_url=on_daemon.url, trust_env=False, timeout=120, headers=headers
    ) as client:
        yield client


@pytest.fixture
def reader(on_embedded: Server) -> Iterator[httpx.Client]:
    """A client of a server that really reads."""
    with httpx.Client(base_url=on_embedded.url, trust_env=False, timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def engine() -> Iterator[FakeOllama]:
    with FakeOllama() as fake_ollama:
        yield fake_ollama


@pytest.fixture(scope="module")
def scripted(
    engine: FakeOllama, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of a server in front of the fake Ollama, which keeps nothing."""
    log = tmp_path_factory.mktemp("scripted") / "server.log"
    settings = {"OLLAMA_HOST": engine.url, "MODEL_NAME": "fake-vlm", "NUM_CTX": "8192"}
    with (
        Server(log, **settings, CACHE_MB="0") as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=120) as client,
    ):
        yield client
