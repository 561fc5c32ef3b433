"""Equal requests share one generation, and an answer that is sure to come again is kept."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from tests.events import sse, text_of
from tests.inference_server import Server
from tests.ollama_daemon.process import Daemon
from tests.pictures import encoded, scene

PICTURE = encoded(scene(64, 64))
FILES = {"image": PICTURE}
SLOW = {"model": "slow-vlm", "max_tokens": "40"}
NO_STORE = {"Cache-Control": "no-store"}


@pytest.fixture
def client(on_daemon: Server, daemon: Daemon) -> Iterator[httpx.Client]:
    """As the others', but without the header that keeps an answer from being kept."""
    with httpx.Client(base_url=on_daemon.url, trust_env=False, timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def keyed(_daemon_process: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("keyed") / "server.log"
    settings = {"OLLAMA_HOST": _daemon_process.url, "MODEL_NAME": "tiny-vlm", "NUM_CTX": "4096"}
    with Server(log, **settings, API_KEYS="one,two", CACHE_MB="1") as server:
        yield server


def chats(daemon: Daemon, mark: int) -> int:
    """How many generations began since the mark."""
    return len(daemon.since(mark).prompts)


def test_equal_requests_at_once_are_one_generation(client: httpx.Client, daemon: Daemon) -> None:
    mark = daemon.mark()

    def ask(number: int) -> str:
        data = {**SLOW, "seed": "1", "stream": str(number % 2 == 0)}
        response = client.post("/v1/describe", files=FILES, data=data)
        assert response.status_code == 200
        if number % 2:
            return str(response.json()["text"])
        events = sse(response.text)
        assert text_of(events) == events[-1][1]["text"]
        return text_of(events)

    with ThreadPoolExecutor(6) as pool:
        texts = set(pool.map(ask, range(6)))
    assert len(texts) == 1
    assert chats(daemon, mark) == 1


def test_one_who_leaves_ends_nothing_for_another(client: httpx.Client, daemon: Daemon) -> None:
    fields = {"model": "slow-vlm", "max_tokens": "200", "stream": "true", "seed": "7"}
    client.post("/v1/ocr", files=FILES, data={**fields, "max_tokens": "1"})
    mark = daemon.mark()
    stream = partial(client.stream, "POST", "/v1/describe", files=FILES, data=fields)
    with stream() as first, stream() as second:
        begun, lines = first.iter_lines(), second.iter_lines()
        assert "event: delta" in begun
        assert "event: delta" in lines  # the second shares what the first began
        first.close()
        data = [line for line in lines if line.startswith("data: ")][-1]
    answer = json.loads(data.removeprefix("data: "))
    assert answer["cached"] is True
    assert answer["usage"]["completion_tokens"] == 200
    assert chats(daemon, mark) == 1


def test_kept_at_temperature_0_alone(client: httpx.Client, daemon: Daemon) -> None:
    data = {"max_tokens": "12", "prompt": "kept?"}
    mark = daemon.mark()
    first = client.post("/v1/ocr", files=FILES, data=data).json()
    again = client.post("/v1/ocr", files=FILES, data=data)
    streamed = sse(client.post("/v1/ocr", files=FILES, data={**data, "stream": "true"}).text)
    assert chats(daemon, mark) == 1
    assert first["cached"] is False
    assert again.json()["cached"] is True
    assert again.json()["text"] == first["text"] == text_of(streamed)
    assert [name for name, _ in streamed] == ["start", "delta", "done"]
    assert again.json()["id"] == again.headers["x-request-id"] != first["id"]
    assert again.json()["timings"]["generate_ms"] == 0
    for other in ({**data, "temperature": "0.5"}, {**data, "seed": "3"}, {**data, "detail": "low"}):
        assert client.post("/v1/ocr", files=FILES, data=other).json()["cached"] is False
    warm = {**data, "temperature": "0.5"}
    assert client.post("/v1/ocr", files=FILES, data=warm).json()["cached"] is False


def test_same_pixels_in_another_file(client: httpx.Client) -> None:
    data = {"max_tokens": "5", "prompt": "same pixels?"}
    picture = scene(96, 64)
    first = {"image": encoded(picture, "BMP")}
    second = {"image": encoded(picture, "WEBP", lossless=True)}
    assert client.post("/v1/ocr", files=first, data=data).json()["cached"] is False
    assert client.post("/v1/ocr", files=second, data=data).json()["cached"] is True
    mirrored = {"image": encoded(picture.rotate(180))}
    assert client.post("/v1/ocr", files=mirrored, data=data).json()["cached"] is False


def test_no_store(client: httpx.Client, daemon: Daemon) -> None:
    data = {"max_tokens": "5", "prompt": "no store?"}
    mark = daemon.mark()
    for _ in range(2):
        answer = client.post("/v1/ocr", files=FILES, data=data, headers=NO_STORE).json()
        assert answer["cached"] is False
    client.post("/v1/ocr", files=FILES, data=data)
    assert client.post("/v1/ocr", files=FILES, data=data).json()["cached"] is True
    assert (
        client.post("/v1/ocr", files=FILES, data=data, headers=NO_STORE).json()["cached"] is False
    )
    assert chats(daemon, mark) == 4


def test_no_store_is_not_shared_in_flight(client: httpx.Client, daemon: Daemon) -> None:
    mark = daemon.mark()
    with ThreadPoolExecutor(2) as pool:
        asked = [
            pool.submit(client.post, "/v1/describe", files=FILES, data=SLOW, headers=NO_STORE)
            for _ in range(2)
        ]
        assert all(one.result().json()["cached"] is False for one in asked)
    assert chats(daemon, mark) == 2


def test_keys_do_not_see_each_other(keyed: Server, daemon: Daemon) -> None:
    def cached(key: str) -> bool:
        headers = {"Authorization": f"Bearer {key}"}
        response = httpx.post(
            f"{keyed.url}/v1/ocr",
            files=FILES,
            data={"max_tokens": "5"},
            headers=headers,
            trust_env=False,
            timeout=120,
        )
        return bool(response.json()["cached"])

    assert [cached("one"), cached("two"), cached("one"), cached("two")] == [
        False,
        False,
        True,
        True,
    ]


def test_hits_are_counted_and_their_tokens_are_not(client: httpx.Client) -> None:
    def count(name: str) -> float:
        lines = client.get("/metrics").text.splitlines()
        found = [line.split()[-1] for line in lines if line.startswith(name)]
        return sum(map(float, found))

    data = {"max_tokens": "5", "prompt": "counted?"}
    client.post("/v1/ocr", files=FILES, data=data)
    hits, tokens = count("vlm_cache_hits_total"), count("vlm_completion_tokens_total")
    client.post("/v1/ocr", files=FILES, data=data)
    assert count("vlm_cache_hits_total") == hits + 1
    assert count("vlm_completion_tokens_total") == tokens
