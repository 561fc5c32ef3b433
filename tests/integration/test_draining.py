"""How the server ends while it is asked."""

import signal
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.daemon.process import Daemon
from tests.events import sse
from tests.pictures import encoded, scene
from tests.server import Server

FILES = {"image": encoded(scene(64, 64))}
STREAMS = 8


@pytest.fixture
def settings(daemon: Daemon) -> dict[str, str]:
    """The slow model, loaded."""
    with httpx.Client(trust_env=False, timeout=120) as client:
        body = {"model": "slow-vlm", "messages": [], "options": {"num_ctx": 4096}}
        client.post(f"{daemon.url}/api/chat", json=body)
    return {"OLLAMA_HOST": daemon.url, "MODEL_NAME": "slow-vlm", "NUM_CTX": "4096"}


def test_what_runs_is_finished_and_what_is_new_refused(
    settings: dict[str, str], tmp_path: Path
) -> None:
    answers: list[httpx.Response] = []

    def stream(url: str) -> None:
        data = {"stream": "true", "max_tokens": "60"}
        answers.append(httpx.post(url, files=FILES, data=data, trust_env=False, timeout=120))

    with Server(tmp_path / "log", **settings) as server:
        url = f"{server.url}/v1/describe"
        threads = [threading.Thread(target=stream, args=(url,)) for _ in range(STREAMS)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert answers == [], "it was over too soon to tell"
        ready = httpx.get(f"{server.url}/ready", trust_env=False)
        refused = httpx.post(url, files=FILES, trust_env=False)
        for response in (ready, refused):
            assert (response.status_code, response.json()["code"]) == (503, "draining")
            assert int(response.headers["retry-after"]) > 0
            assert response.headers["connection"] == "close"
        assert httpx.get(f"{server.url}/health", trust_env=False).status_code == 200
        for thread in threads:
            thread.join(120)
        assert server.process.wait(120) == 0
    assert len(answers) == STREAMS
    assert [sse(answer.text)[-1][0] for answer in answers] == ["done"] * STREAMS


def test_a_second_signal_ends_at_once(settings: dict[str, str], tmp_path: Path) -> None:
    with Server(tmp_path / "log", **settings) as server:
        data = {"stream": "true", "max_tokens": "400"}
        with httpx.Client(trust_env=False, timeout=120) as client:
            url = f"{server.url}/v1/describe"
            with client.stream("POST", url, files=FILES, data=data) as answer:
                lines = answer.iter_lines()
                next(lines)
                server.process.send_signal(signal.SIGTERM)
                time.sleep(0.3)
                assert server.process.poll() is None
                server.process.send_signal(signal.SIGTERM)
                assert server.process.wait(120) == 0


def test_the_drain_has_an_end(settings: dict[str, str], tmp_path: Path) -> None:
    with Server(tmp_path / "log", DRAIN_TIMEOUT_S="0.5", **settings) as server:
        data = {"stream": "true", "max_tokens": "400"}
        with httpx.Client(trust_env=False, timeout=120) as client:
            url = f"{server.url}/v1/describe"
            with client.stream("POST", url, files=FILES, data=data) as answer:
                lines = answer.iter_lines()
                next(lines)
                server.process.send_signal(signal.SIGTERM)
                assert server.process.wait(120) == 0
