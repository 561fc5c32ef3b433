"""What a client of Ollama's API relies on: the same assertions for the real daemon and for the
embedded engine. Errors are compared with the model's name put in."""

import base64
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.protocol.conftest import Server, picture

PNG = base64.b64decode(picture())
COUNTS = ("total_duration", "load_duration", "prompt_eval_count", "eval_count", "eval_duration")
CREATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
}


def body(server: Server, *images: str, **more: Any) -> dict[str, Any]:
    message = {"role": "user", "content": "What is this?", "images": list(images)}
    return {"model": server.model, "messages": [message], "stream": False, **more}


def lines(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


def names(server: Server, path: str) -> list[str]:
    models = server.client.get(path).json()["models"]
    assert all(entry["name"] == entry["model"] for entry in models)
    return [entry["name"] for entry in models]


def test_root(server: Server) -> None:
    found, head = server.client.get("/"), server.client.head("/")
    assert (found.status_code, found.text) == (200, "Ollama is running")
    assert found.headers["content-type"].startswith("text/plain")
    assert (head.status_code, head.content) == (200, b"")


def test_version(server: Server) -> None:
    assert re.match(r"\d+\.\d+\.\d+", server.client.get("/api/version").json()["version"])
    assert server.client.head("/api/version").status_code == 200


def test_unknown_path(server: Server) -> None:
    response = server.client.get("/api/nope")
    assert (response.status_code, response.text) == (404, "404 page not found")
    assert response.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/chat"), ("POST", "/api/tags")])
def test_wrong_method(server: Server, method: str, path: str) -> None:
    response = server.client.request(method, path)
    assert (response.status_code, response.text) == (405, "405 method not allowed")


def test_tags(server: Server) -> None:
    entries = server.client.get("/api/tags").json()["models"]
    (entry,) = [entry for entry in entries if entry["name"] == f"{server.model}:latest"]
    keys = {"name", "model", "modified_at", "size", "digest", "details"}
    assert keys <= entry.keys()
    assert re.fullmatch("[0-9a-f]{64}", entry["digest"])
    assert entry["size"] > 0
    details = {"parent_model", "format", "family", "families", "parameter_size"}
    assert details | {"quantization_level"} <= entry["details"].keys()


def test_show(server: Server) -> None:
    shown = server.client.post("/api/show", json={"model": server.model}).json()
    assert set(shown["capabilities"]) == {"completion", "vision"}
    architecture = shown["model_info"]["general.architecture"]
    assert shown["model_info"][f"{architecture}.context_length"] > 0
    assert {"details", "modified_at", "template"} <= shown.keys()


@pytest.mark.parametrize("stream", [True, False])
def test_load_ps_and_unload(server: Server, stream: bool) -> None:
    asked = {"model": server.model, "stream": stream}
    loaded = server.client.post("/api/chat", json={**asked, "messages": []})
    assert loaded.headers["content-type"] == "application/json; charset=utf-8"
    expected = {"model": server.model, "done": True, "done_reason": "load"}
    expected["message"] = {"role": "assistant", "content": ""}
    assert expected.items() <= loaded.json().items()
    assert f"{server.model}:latest" in names(server, "/api/ps")
    unloaded = server.client.post("/api/chat", json={**asked, "keep_alive": 0}).json()
    assert {**expected, "done_reason": "unload"}.items() <= unloaded.items()
    deadline = time.monotonic() + 5
    while f"{server.model}:latest" in names(server, "/api/ps"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_ps(server: Server) -> None:
    server.client.post("/api/chat", json={"model": server.model})
    entries = server.client.get("/api/ps").json()["models"]
    (entry,) = [entry for entry in entries if entry["name"] == f"{server.model}:latest"]
    assert {"size", "digest", "details", "expires_at", "size_vram"} <= entry.keys()


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
    answer = server.client.post("/api/chat", json=body(server, picture(image_format))).json()
    assert answer["done"] is True


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


@pytest.mark.parametrize(
    ("form", "said"), [("xml", '"\\"xml\\""'), ([1], '"[1]"'), (5, '"5"'), (True, '"true"')]
)
def test_invalid_format(server: Server, form: object, said: str) -> None:
    response = server.client.post("/api/chat", json=body(server, picture(), format=form))
    expected = 'expected "json" or a valid JSON Schema object'
    assert response.status_code == 500
    assert response.json() == {"error": f"invalid format: {said}; {expected}"}


@pytest.mark.parametrize("stream", [True, False])
def test_unknown_model(server: Server, stream: bool) -> None:
    asked = body(server, picture(), model="nope", stream=stream)
    response = server.client.post("/api/chat", json=asked)
    assert response.status_code == 404
    assert response.json() == {"error": 'model "nope" not found, try pulling it first'}
    shown = server.client.post("/api/show", json={"model": "nope"})
    assert (shown.status_code, shown.json()) == (404, {"error": "model 'nope' not found"})


@pytest.mark.parametrize(
    ("raw", "status", "error"),
    [
        (b"", 400, "missing request body"),
        (b'{"model": "M", "mess', 400, "unexpected EOF"),
        (b"[]", 400, "json: cannot unmarshal array into Go value of type api.ChatRequest"),
        (b"{}", 400, "model is required"),
        (
            b'{"model": "M", "messages": [{"role": "user", "content": [{"type": "text"}]}]}',
            400,
            "json: cannot unmarshal array into Go struct field ChatRequest.messages.content of "
            "type string",
        ),
        (
            b'{"model": "M", "think": "high"}',
            400,
            "json: cannot unmarshal string into Go struct field ChatRequest.think of type bool",
        ),
        (b'{"model": "M", "keep_alive": "soon"}', 400, 'time: invalid duration "soon"'),
    ],
)
def test_malformed(server: Server, raw: bytes, status: int, error: str) -> None:
    content = raw.replace(b'"M"', json.dumps(server.model).encode())
    response = server.client.post("/api/chat", content=content)
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert (response.status_code, response.json()) == (status, {"error": error})


def test_option_of_the_wrong_type(server: Server) -> None:
    asked = body(server, options={"num_predict": "3"})
    response = server.client.post("/api/chat", json=asked)
    error = 'option "num_predict" must be of type integer'
    assert (response.status_code, response.json()) == (500, {"error": error})


@pytest.mark.parametrize(("field", "value"), [("think", True), ("tools", [{"type": "function"}])])
def test_what_the_model_cannot(server: Server, field: str, value: object) -> None:
    response = server.client.post("/api/chat", json=body(server, **{field: value}))
    what = {"think": "thinking", "tools": "tools"}[field]
    assert response.status_code == 400
    # Before it the model's name, in full or in quotes.
    assert re.fullmatch(rf".*{server.model}\S* does not support {what}", response.json()["error"])


def test_what_is_passed_over(server: Server) -> None:
    asked = body(server, think=False, keep_alive=-1, options={"num_predict": -1, "no_such": 1})
    asked["messages"].insert(0, {"role": "robot", "content": "hello"})
    assert server.client.post("/api/chat", json=asked).json()["done"] is True


@pytest.mark.parametrize(
    ("image", "byte"),
    [
        ("!!!!", 0),
        ("data:image/png;base64,AAAA", 4),
        (base64.b64encode(PNG + b"12"[: (4 - len(PNG)) % 3 or 1]).decode().rstrip("="), None),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_not_base64(server: Server, image: str, byte: int | None, stream: bool) -> None:
    response = server.client.post("/api/chat", json=body(server, image, stream=stream))
    assert response.status_code == 400
    place = len(image) - len(image) % 4 if byte is None else byte
    assert response.json() == {"error": f"illegal base64 data at input byte {place}"}


def test_line_breaks_in_base64(server: Server) -> None:
    image = base64.encodebytes(PNG).decode()
    assert server.client.post("/api/chat", json=body(server, image)).status_code == 200


@pytest.mark.parametrize("data", [b"", b"no image at all"])
def test_not_an_image(server: Server, data: bytes) -> None:
    """Once a stream has begun an error is a line of it, and nothing follows."""
    asked = body(server, base64.b64encode(data).decode())
    inputs = "Failed to create new sequence: failed to process inputs"
    expected = {"error": f"{inputs}: image: unknown format\n"}
    whole = server.client.post("/api/chat", json=asked)
    assert (whole.status_code, whole.json()) == (500, expected)
    assert lines(server.client.post("/api/chat", json={**asked, "stream": True})) == [expected]


def test_cut_image(server: Server) -> None:
    asked = body(server, base64.b64encode(PNG[: len(PNG) // 2]).decode())
    whole = server.client.post("/api/chat", json=asked)
    assert whole.status_code == 500
    (line,) = lines(server.client.post("/api/chat", json={**asked, "stream": True}))
    assert line == whole.json()
    assert line["error"].startswith("Failed to create new sequence: failed to process inputs: ")


def test_many_at_once(server: Server) -> None:
    """They wait for one another; none is refused, and the small questions are answered."""
    asked = body(server, picture())
    with ThreadPoolExecutor(7) as threads:
        answers = [
            threads.submit(server.client.post, "/api/chat", json=asked, timeout=60)
            for _ in range(6)
        ]
        small = threads.submit(server.client.get, "/api/version", timeout=5)
        assert small.result().status_code == 200
        assert all(answer.result().json()["done"] is True for answer in answers)


@pytest.mark.parametrize("stream", [True, False])
def test_leaving_frees_the_slot(server: Server, stream: bool) -> None:
    """Three long answers that nobody waits for do not hold up the next one."""
    asked = body(server, server.long_picture, model=server.slow_model, stream=stream)
    asked["messages"][0]["content"] = "Read all the text."
    asked["options"] = {"num_predict": 4000}
    server.client.post("/api/chat", json={"model": server.slow_model})
    for _ in range(3):
        with pytest.raises(httpx.ReadTimeout):
            _leave(server, asked)
    started = time.monotonic()
    asked["options"] = {"num_predict": 1}
    asked["messages"][0] = {"role": "user", "content": "hello"}
    server.client.post("/api/chat", json=asked).raise_for_status()
    assert time.monotonic() - started < 15


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
