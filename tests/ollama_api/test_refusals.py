"""What `/api/chat` refuses: the same assertions for the real daemon and for the embedded engine.
Errors are compared with the model's name put in."""

import base64
import json
import re

import pytest

from tests.ollama_api.chat_requests import body, lines
from tests.ollama_api.conftest import Server, picture

PNG = base64.b64decode(picture())


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
        (b'{"model": "M", "keep_alive": true}', 400, "Unsupported type: 'bool'"),
        (b'{"model": "M", "keep_alive": [1]}', 400, "Unsupported type: '[]interface {}'"),
        *(
            (b'{"model": "M", "options": {"%b": %b}}' % (name, value), 400, error)
            for name in (b"num_predict", b"seed", b"unknown")
            for value, error in (
                (b"NaN", "invalid character 'N' looking for beginning of value"),
                (b"Infinity", "invalid character 'I' looking for beginning of value"),
                (b"-Infinity", "invalid character 'I' in numeric literal"),
                (b"[" * 20_000 + b"]" * 20_000, "invalid character '[' exceeded max depth"),
            )
        ),
    ],
)
def test_malformed(server: Server, raw: bytes, status: int, error: str) -> None:
    content = raw.replace(b'"M"', json.dumps(server.model).encode())
    response = server.client.post("/api/chat", content=content)
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert (response.status_code, response.json()) == (status, {"error": error})


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 400, "9" * 5000])
@pytest.mark.parametrize(
    "field", ['"options": {"num_predict": N}', '"options": {"seed": N}', '"keep_alive": N']
)
def test_number_out_of_range(server: Server, field: str, number: str) -> None:
    raw = f'{{"model": "{server.model}", {field.replace("N", number)}}}'
    response = server.client.post("/api/chat", content=raw)
    assert response.status_code == 400
    assert response.json()["error"].startswith(f"json: cannot unmarshal number {number[:100]}")


@pytest.mark.parametrize("number", ["1" + "0" * 30, "1.5", "1e3", "null"])
def test_number_in_range(server: Server, number: str) -> None:
    raw = json.dumps(body(server, options={"num_predict": "N"})).replace('"N"', number)
    response = server.client.post("/api/chat", content=raw)
    assert (response.status_code, response.json()["done"]) == (200, True)


@pytest.mark.parametrize("text", [b'"\\ud800"', b'"\\udc00\\ud800 x"', b'"\xff\xfe"'])
def test_text_that_is_no_unicode(server: Server, text: bytes) -> None:
    raw = json.dumps(body(server)).encode().replace(b'"What is this?"', text)
    assert text in raw
    response = server.client.post("/api/chat", content=raw)
    assert (response.status_code, response.json()["done"]) == (200, True)


@pytest.mark.parametrize(
    ("option", "value", "kind"),
    [
        ("num_predict", "3", "integer"),
        ("num_predict", True, "integer"),
        ("num_predict", [3], "integer"),
        ("seed", {}, "integer"),
        ("temperature", "hot", "float32"),
        ("stop", 5, "array"),
        ("use_mmap", 1, "boolean"),
    ],
)
def test_option_of_the_wrong_type(server: Server, option: str, value: object, kind: str) -> None:
    asked = body(server, options={option: value})
    response = server.client.post("/api/chat", json=asked)
    error = f'option "{option}" must be of type {kind}'
    assert (response.status_code, response.json()) == (500, {"error": error})


def test_null_for_a_message_or_an_image(server: Server) -> None:
    asked = body(server)
    asked["messages"].append(None)
    assert server.client.post("/api/chat", json=asked).status_code == 200
    asked = body(server)
    asked["messages"][0]["images"] = [None]
    response = server.client.post("/api/chat", json=asked)
    assert response.status_code == 500
    assert response.json()["error"].endswith("image: unknown format\n")


@pytest.mark.parametrize(("field", "value"), [("think", True), ("tools", [{"type": "function"}])])
def test_what_the_model_cannot(server: Server, field: str, value: object) -> None:
    response = server.client.post("/api/chat", json=body(server, **{field: value}))
    what = {"think": "thinking", "tools": "tools"}[field]
    assert response.status_code == 400
    # Before it the model's name, in full or in quotes.
    assert re.fullmatch(rf".*{server.model}\S* does not support {what}", response.json()["error"])


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
