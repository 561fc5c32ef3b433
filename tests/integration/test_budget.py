"""What is planned is what the daemon counts."""

import random
from collections.abc import Iterator

import httpx
import pytest

from tests.inference_server import Server
from tests.ollama_daemon.process import Daemon
from tests.pictures import encoded, scene

CONTEXT = 4096


@pytest.fixture(scope="module")
def fresh(
    _daemon_process: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A server that has learnt nothing yet."""
    log = tmp_path_factory.mktemp("fresh") / "server.log"
    settings = {"OLLAMA_HOST": _daemon_process.url, "MODEL_NAME": "tiny-vlm"}
    with (
        Server(log, NUM_CTX=str(CONTEXT), **settings) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=120) as client,
    ):
        yield client


def ask(client: httpx.Client, rng: random.Random) -> httpx.Response:
    """A request with pictures and words of any size."""
    files = [
        ("image", encoded(scene(rng.randint(20, 700), rng.randint(20, 700)), "PNG"))
        for _ in range(rng.randint(1, 2))
    ]
    words = "see " * rng.randint(0, 90) + "보기 " * rng.randint(0, 20)
    detail = rng.choice(["low", "auto", "high"])
    data = {"prompt": words or "look", "max_tokens": "4", "detail": detail}
    return client.post("/v1/describe", files=files, data=data)


def test_the_estimate_comes_within_2_percent(daemon: Daemon, fresh: httpx.Client) -> None:
    rng = random.Random(7)
    errors = []
    for _ in range(22):
        response = ask(fresh, rng)
        assert response.status_code == 200, response.text
        answer = response.json()
        used = answer["usage"]
        assert used["prompt_tokens"] + 4 <= CONTEXT
        assert sum(one["tokens"] for one in answer["images"]) < used["prompt_tokens"]
        errors.append(abs(used["estimated_prompt_tokens"] / used["prompt_tokens"] - 1))
    first, last = errors[0], errors[12:]
    print(f"estimate off by {first:.0%} at first, at most {max(last):.2%} after 12 answers")
    assert max(last) < 0.02


def test_what_cannot_fit_is_refused_with_the_numbers(daemon: Daemon, fresh: httpx.Client) -> None:
    """The tiny model takes up to 256 tokens an image, and at least 64 to make it out."""
    mark = daemon.mark()
    files = [("image", encoded(scene(900, 900), "PNG"))] * 16
    data = {"max_tokens": "3500"}
    response = fresh.post("/v1/describe", files=files, data=data)
    assert response.status_code == 422
    problem = response.json()
    assert problem["code"] == "context_overflow"
    assert problem["num_ctx"] == CONTEXT
    assert problem["answer_tokens"] == 3500
    assert problem["image_tokens"] == 16 * 64
    assert daemon.since(mark).of("/api/chat") == []


def test_many_images_share_the_context(daemon: Daemon, fresh: httpx.Client) -> None:
    files = [("image", encoded(scene(900, 900), "PNG"))] * 16
    data = {"max_tokens": "16", "detail": "high"}
    answer = fresh.post("/v1/describe", files=files, data=data).json()
    assert answer["usage"]["prompt_tokens"] + 16 <= CONTEXT
    tokens = [one["tokens"] for one in answer["images"]]
    assert min(tokens) > 100
    assert sum(tokens) > 0.6 * CONTEXT
