"""Answers of `/api/chat`: the same assertions for the real daemon and for the embedded engine."""

import base64
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.ollama_api.chat_requests import body, lines
from tests.ollama_api.conftest import Server, picture

HELD_UP_S = 30
COUNTS = ("total_duration", "load_duration", "prompt_eval_count", "eval_count", "eval_duration")
CREATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
}


def test_whole_answer(server: Server) -> None:
    response = server.client.post("/api/chat", json=body(server, picture()))
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    answer = response.json()
    assert answer["model"] == server.model
    assert CREATED.fullmatch(answer["created_at"])
    assert answer["message"]["role"] == "assistant"
    assert answer["message"]["content"]
    assert (answer["done"], answer["done_reason"]) == (True, "stop")
    assert all(type(answer[count]) is int and answer[count] > 0 for count in COUNTS)


def test_stream(server: Server) -> None:
    response = server.client.post("/api/chat", json=body(server, picture(), stream=True))
    *deltas, last = lines(response)
    assert deltas
    for line in deltas:
        assert line.keys() == {"model", "created_at", "message", "done"}
        assert (line["model"], line["done"]) == (server.model, False)
        assert line["message"]["role"] == "assistant"
    assert (last["done"], last["done_reason"]) == (True, "stop")
    assert last["message"] == {"role": "assistant", "content": ""}
    assert all(type(last[count]) is int and last[count] > 0 for count in COUNTS)
    assert last["eval_count"] == len(deltas) + 1  # the end of the turn counts one


def test_streaming_is_the_default(server: Server) -> None:
    asked = body(server, picture())
    del asked["stream"]
    assert len(lines(server.client.post("/api/chat", json=asked))) > 1


@pytest.mark.parametrize("stream", [True, False])
def test_length_limit(server: Server, stream: bool) -> None:
    asked = body(server, picture(), options={"num_predict": 3}, stream=stream)
    response = server.client.post("/api/chat", json=asked)
    last = json.loads(response.text.splitlines()[-1])
    assert (last["done_reason"], last["eval_count"]) == ("length", 3)


@pytest.mark.parametrize("given", [{}, {"images": []}])
def test_without_an_image(server: Server, given: dict[str, Any]) -> None:
    asked = body(server)
    del asked["messages"][0]["images"]
    asked["messages"][0] |= given
    assert server.client.post("/api/chat", json=asked).json()["done"] is True


def test_name_with_a_tag(server: Server) -> None:
    """The answer has the name as it was sent."""
    model = f"{server.model}:latest"
    answer = server.client.post("/api/chat", json=body(server, model=model)).json()
    assert answer["model"] == model


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_formats(server: Server, image_format: str) -> None:
    """The embedded engine leaves out two that the server never sends."""
    response = server.client.post("/api/chat", json=body(server, picture(image_format)))
    if server.name == "embedded" and image_format in ("BMP", "TIFF"):
        assert response.json()["error"].endswith("image: unknown format\n")
    else:
        assert response.json()["done"] is True


def test_an_image_counts(server: Server) -> None:
    counts = [
        server.client.post("/api/chat", json=body(server, *images)).json()["prompt_eval_count"]
        for images in ((), (picture(),), (picture(), picture()))
    ]
    assert counts == sorted(set(counts))


@pytest.mark.parametrize("form", ["json", SCHEMA])
def test_format(server: Server, form: object) -> None:
    asked = body(server, picture(), format=form, options={"num_predict": 200})
    content = server.client.post("/api/chat", json=asked).json()["message"]["content"]
    assert isinstance(json.loads(content), dict)


def test_what_is_passed_over(server: Server) -> None:
    asked = body(server, think=False, keep_alive=-1, options={"num_predict": -1, "no_such": 1})
    asked["messages"].insert(0, {"role": "robot", "content": "hello"})
    assert server.client.post("/api/chat", json=asked).json()["done"] is True


def test_line_breaks_in_base64(server: Server) -> None:
    image = base64.encodebytes(base64.b64decode(picture())).decode()
    assert server.client.post("/api/chat", json=body(server, image)).status_code == 200


def test_many_at_once(server: Server) -> None:
    """They wait for one another; none is refused, and the small questions are answered."""
    asked = body(server, picture())
    with ThreadPoolExecutor(7) as threads:
        answers = [
            threads.submit(server.client.post, "/api/chat", json=asked, timeout=120)
            for _ in range(6)
        ]
        small = threads.submit(server.client.get, "/api/version", timeout=120)
        assert small.result().status_code == 200
        assert all(answer.result().json()["done"] is True for answer in answers)


@pytest.mark.parametrize("stream", [True, False])
def test_leaving_frees_the_slot(server: Server, stream: bool) -> None:
    """Long answers that nobody waits for do not hold up the next one: together they would take more
    than `HELD_UP_S`, on a fast machine, too."""
    asked = body(server, server.long_picture, model=server.slow_model, stream=stream)
    asked["messages"][0]["content"] = "Read all the text."
    asked["options"] = {"num_predict": 4000}
    server.client.post("/api/chat", json={"model": server.slow_model})
    for _ in range(8):
        with pytest.raises(httpx.ReadTimeout):
            _leave(server, asked)
    started = time.monotonic()
    asked["options"] = {"num_predict": 1}
    asked["messages"][0] = {"role": "user", "content": "hello"}
    server.client.post("/api/chat", json=asked).raise_for_status()
    assert time.monotonic() - started < HELD_UP_S


def _leave(server: Server, asked: dict[str, Any]) -> None:
    """Begin an answer and go away after half a second of it."""
    url = server.client.base_url.join("/api/chat")
    with (
        httpx.Client(trust_env=False, timeout=0.5) as leaving,
        leaving.stream("POST", url, json=asked) as response,
    ):
        assert response.status_code == 200
        begun = time.monotonic()
        for _ in response.iter_lines():
            if time.monotonic() - begun > 0.5:
                raise httpx.ReadTimeout("left")
    raise AssertionError("the answer was too short to leave")
