"""How the server ends while it is asked."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.inference_server import Server
from tests.ollama_daemon.process import Daemon
from tests.pictures import encoded, scene
from tests.polling import HANG_S, wait_until

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
    begun: list[str] = []
    ended: list[str] = []

    def stream(url: str) -> None:
        data = {"stream": "true", "max_tokens": "200"}
        with (
            httpx.Client(trust_env=False, timeout=HANG_S) as client,
            client.stream("POST", url, files=FILES, data=data) as answer,
        ):
            lines = answer.iter_lines()
            begun.append(next(line for line in lines if line == "event: delta"))
            ended.append([line for line in lines if line.startswith("event: ")][-1])

    with Server(tmp_path / "log", DRAIN_TIMEOUT_S="100", **settings) as server:
        url = f"{server.url}/v1/describe"
        threads = [threading.Thread(target=stream, args=(url,)) for _ in range(STREAMS)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(begun) == STREAMS)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: httpx.get(f"{server.url}/ready", trust_env=False).status_code == 503)
        assert ended == [], "it was over too soon to tell"
        ready = httpx.get(f"{server.url}/ready", trust_env=False)
        refused = httpx.post(url, files=FILES, trust_env=False)
        for response in (ready, refused):
            assert (response.status_code, response.json()["code"]) == (503, "draining")
            assert int(response.headers["retry-after"]) > 0
            assert response.headers["connection"] == "close"
        assert httpx.get(f"{server.url}/health", trust_env=False).status_code == 200
        for thread in threads:
            thread.join(120)
        assert server.process.wait(HANG_S) == 0
    assert ended == ["event: done"] * STREAMS


def rest_of(lines: Iterator[str]) -> list[str]:
    """What still comes until the server ends, or cuts the connection."""
    rest: list[str] = []
    with suppress(httpx.TransportError):
        rest.extend(lines)
    return rest


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
                assert "event: done" not in rest_of(lines), "it waited for the end of the stream"
                assert server.process.wait(HANG_S) == 0


def test_the_drain_has_an_end(settings: dict[str, str], tmp_path: Path) -> None:
    with Server(tmp_path / "log", DRAIN_TIMEOUT_S="0.5", **settings) as server:
        data = {"stream": "true", "max_tokens": "400"}
        with httpx.Client(trust_env=False, timeout=120) as client:
            url = f"{server.url}/v1/describe"
            with client.stream("POST", url, files=FILES, data=data) as answer:
                lines = answer.iter_lines()
                next(lines)
                server.process.send_signal(signal.SIGTERM)
                assert "event: done" not in rest_of(lines)
                assert server.process.wait(HANG_S) == 0
