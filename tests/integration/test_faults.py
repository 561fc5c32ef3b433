"""What the engine does wrong, and what the client is told."""

import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.events import sse, text_of
from tests.inference_server import Server
from tests.ollama_daemon.process import Daemon
from tests.pictures import encoded, scene
from tests.polling import wait_until

FILES = {"image": encoded(scene(64, 64))}  # little to take in for a slow model
SETTINGS = {"MODEL_NAME": "slow-vlm", "NUM_CTX": "4096"}
SLOW = {"model": "slow-vlm", "max_tokens": "400"}


@pytest.fixture(autouse=True)
def recovers(client: httpx.Client, daemon: Daemon) -> Iterator[None]:
    """After whatever a test did, the next request is answered."""
    yield
    if not daemon.running():
        daemon.start()
    # The breaker lets a probe through every second.
    wait_until(lambda: client.post("/v1/describe", files=FILES).status_code != 503)
    assert client.post("/v1/describe", files=FILES).status_code == 200


def break_while_running(daemon: Daemon, how: str) -> threading.Thread:
    """Do `how` to the daemon once the slow model has said something, and the server has it."""
    mark = daemon.mark()

    def later() -> None:
        daemon.wait_for_tokens(mark, 40)
        getattr(daemon, how)()

    thread = threading.Thread(target=later)
    thread.start()
    return thread


@pytest.mark.parametrize("how", ["kill_runner", "stop", "kill"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
def test_broken_off_in_the_middle(
    client: httpx.Client, daemon: Daemon, how: str, stream: bool
) -> None:
    client.post("/v1/describe", files=FILES, data={**SLOW, "max_tokens": "1"})
    breaking = break_while_running(daemon, how)
    response = client.post("/v1/describe", files=FILES, data={**SLOW, "stream": str(stream)})
    breaking.join()
    if stream:
        assert response.status_code == 200
        events = sse(response.text)
        assert [name for name, _ in events].count("error") == 1
        name, problem = events[-1]
        assert name == "error"
        assert problem["partial"] == text_of(events)
    else:
        assert response.status_code == 502
        assert response.headers["content-type"] == "application/problem+json"
        problem = response.json()
    assert problem["code"] == "engine_interrupted"
    assert problem["partial"].split()[0].isdigit()


def test_plain_text_that_breaks_off_says_so_and_is_cut(
    client: httpx.Client, daemon: Daemon
) -> None:
    client.post("/v1/describe", files=FILES, data={**SLOW, "max_tokens": "1"})
    breaking = break_while_running(daemon, "kill_runner")
    said = ""
    with (
        pytest.raises(httpx.RemoteProtocolError),
        client.stream(
            "POST", "/v1/describe", files=FILES, data=SLOW, headers={"Accept": "text/plain"}
        ) as response,
    ):
        for piece in response.iter_text():
            said += piece
    breaking.join()
    assert "\n[engine_interrupted] " in said


@pytest.mark.parametrize("stream", ["true", "false"])
def test_stopped_daemon(client: httpx.Client, daemon: Daemon, stream: str) -> None:
    daemon.stop()
    response = client.post("/v1/describe", files=FILES, data={"stream": stream})
    if response.status_code == 200:  # the model was known, so the stream had begun
        assert stream == "true"
        problem = sse(response.text)[-1][1]
    else:
        assert response.status_code == 503
        problem = response.json()
    assert problem["code"] == "engine_unavailable"
    assert "ollama serve" in problem["detail"]


def test_stopped_daemon_is_not_ready(client: httpx.Client, daemon: Daemon) -> None:
    daemon.stop()
    response = client.get("/ready")
    assert response.status_code == 503
    assert response.json()["code"] == "engine_unavailable"
    assert int(response.headers["retry-after"]) > 0
    assert client.get("/health").status_code == 200
    status = client.get("/v1/status").json()
    assert status["model"] is None
    assert status["problem"]["code"] == "engine_unavailable"
    daemon.start()
    assert client.get("/ready").status_code == 200


def test_idle_runner_killed_is_not_noticed(client: httpx.Client, daemon: Daemon) -> None:
    client.post("/v1/describe", files=FILES)
    daemon.kill_runner()
    time.sleep(0.2)
    assert client.post("/v1/describe", files=FILES).status_code == 200


@pytest.mark.parametrize("path", ["describe", "ocr", "vqa"])
def test_unknown_model_names_the_installed_ones(client: httpx.Client, path: str) -> None:
    data = {"model": "nope", "question": "?"} if path == "vqa" else {"model": "nope"}
    problem = client.post(f"/v1/{path}", files=FILES, data=data).json()
    assert problem["code"] == "model_not_found"
    assert "tiny-vlm:latest" in problem["installed"]
    assert "ollama pull nope" in problem["detail"]


def test_seed_names_are_resolved(client: httpx.Client) -> None:
    problem = client.post("/v1/describe", files=FILES, data={"model": "qwen3-vl:14b"}).json()
    assert problem["code"] == "model_not_found"
    assert "qwen3-vl:8b is not installed" in problem["detail"]


def test_model_that_cannot_see(client: httpx.Client, daemon: Daemon) -> None:
    mark = daemon.mark()
    response = client.post("/v1/describe", files=FILES, data={"model": "tiny-text"})
    assert response.status_code == 422
    assert response.json()["code"] == "invalid_parameter"
    assert "does not accept images" in response.json()["detail"]
    assert daemon.since(mark).of("/api/chat") == []


@pytest.mark.parametrize("stream", ["true", "false"])
def test_prompt_over_the_context_is_refused_before_it_is_sent(
    client: httpx.Client, daemon: Daemon, stream: str
) -> None:
    mark = daemon.mark()
    data = {"prompt": "a long story " * 1500, "stream": stream}
    response = client.post("/v1/describe", files=FILES, data=data)
    assert response.status_code == 422
    problem = response.json()
    assert problem["code"] == "context_overflow"
    assert problem["num_ctx"] == 4096
    assert problem["text_tokens"] > 4096
    assert daemon.since(mark).of("/api/chat") == []


def test_prompt_that_the_daemon_cut_in_silence_is_no_success(
    daemon: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The tiny model takes a token a byte, which the first estimate does not expect."""
    log = tmp_path_factory.mktemp("cut") / "server.log"
    settings = {**SETTINGS, "OLLAMA_HOST": daemon.url, "MODEL_NAME": "tiny-vlm"}
    data = {"prompt": "words " * 1000}
    with Server(log, **settings) as server, httpx.Client(trust_env=False, timeout=120) as client:
        response = client.post(f"{server.url}/v1/describe", files=FILES, data=data)
    assert response.status_code == 422
    assert response.json()["code"] == "context_overflow"
    assert "truncated it" in response.json()["detail"]


@pytest.mark.parametrize("stream", ["true", "false"])
def test_a_loop_is_cut(client: httpx.Client, daemon: Daemon, stream: str) -> None:
    """A model that says its sentence over and over would do so 1,500 times."""
    mark = daemon.mark()
    data = {"model": "tiny-loop", "stream": stream, "max_tokens": "1500"}
    response = client.post("/v1/ocr", files=FILES, data=data)
    answer = sse(response.text)[-1][1] if stream == "true" else response.json()
    assert answer["finish_reason"] == "length"
    assert answer["text"].count("stone road") <= 2
    assert answer["warnings"] == ["A repeated part was removed and the answer ends there."]
    assert answer["usage"]["completion_tokens"] < 1000
    daemon.wait_for_requests(mark, "/api/chat")
    assert daemon.tokens(mark) < 1200


def test_deadline(
    daemon: Daemon, client: httpx.Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    client.post("/v1/describe", files=FILES, data={**SLOW, "max_tokens": "1"})  # loaded
    log = tmp_path_factory.mktemp("late") / "server.log"
    settings = {**SETTINGS, "OLLAMA_HOST": daemon.url, "REQUEST_TIMEOUT_S": "4"}
    with Server(log, **settings) as server, httpx.Client(trust_env=False, timeout=120) as late:
        mark = daemon.mark()
        response = late.post(f"{server.url}/v1/describe", files=FILES, data={"max_tokens": "2000"})
        assert response.status_code == 504
        problem = response.json()
        assert problem["code"] == "deadline_exceeded"
        assert problem["partial"]
        daemon.wait_for_requests(mark, "/api/chat")
        assert daemon.tokens(mark) < 1500


def test_full_queue_is_refused_with_a_time(
    daemon: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = tmp_path_factory.mktemp("full") / "server.log"
    settings = {**SETTINGS, "OLLAMA_HOST": daemon.url, "MAX_QUEUE": "0"}
    with Server(log, **settings) as server, httpx.Client(trust_env=False, timeout=120) as client:
        url = f"{server.url}/v1/describe"
        with client.stream("POST", url, files=FILES, data={"stream": "true"}) as first:
            lines = first.iter_lines()  # dropping the iterator would close the stream
            assert "event: delta" in lines  # it has the slot
            refused = client.post(url, files=FILES, data={"seed": "2"})
        assert refused.status_code == 429
        assert refused.json()["code"] == "queue_full"
        assert int(refused.headers["retry-after"]) >= 1
