"""Bad requests: each gets a problem object with the right code, none a bare 500."""

import re
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from tests.inference_server import Server
from tests.ollama_daemon.process import Daemon
from tests.pictures import base64_of, encoded, scene

JPEG = encoded(scene(64, 64))
PNG = encoded(scene(64, 64), "PNG")
B64 = base64_of(JPEG)
DESCRIBE = "/v1/describe"
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Bad:
    """A request, and what it must be told."""

    name: str
    status: int
    code: str
    says: str
    how: dict[str, Any] = field(default_factory=dict)
    path: str = DESCRIBE
    method: str = "POST"


def form(image: bytes | None = JPEG, **fields: Any) -> dict[str, Any]:
    files = {} if image is None else {"files": {"image": ("x.jpg", image)}}
    return {**files, "data": fields}


BAD = [
    Bad("nothing", 400, "invalid_request", "multipart"),
    Bad("no image", 400, "invalid_request", "no image", form(None, style="caption")),
    Bad("no image, JSON", 400, "invalid_request", "no image", {"json": {"style": "caption"}}),
    Bad("image is null", 400, "invalid_request", "no image", {"json": {"image": None}}),
    Bad("image is a number", 422, "invalid_parameter", "string", {"json": {"image": 7}}),
    Bad("image in an object", 422, "invalid_parameter", "string", {"json": {"image": {"a": B64}}}),
    Bad("not JSON", 400, "invalid_request", "JSON", {"content": b"{", "headers": JSON}),
    Bad("not UTF-8", 400, "invalid_request", "JSON", {"content": b'{"a":"\xff"}', "headers": JSON}),
    Bad("a JSON list", 400, "invalid_request", "object", {"json": [B64]}),
    Bad(
        "JSON too deep",
        400,
        "invalid_request",
        "JSON",
        {"content": b'{"a":' + b"[" * 100_000, "headers": JSON},
    ),
    Bad(
        "raw bytes",
        400,
        "invalid_request",
        "image/jpeg",
        {"content": JPEG, "headers": {"Content-Type": "image/jpeg"}},
    ),
    Bad(
        "form without boundary",
        400,
        "invalid_request",
        "form",
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
    ),
    Bad(
        "form cut",
        400,
        "invalid_request",
        "ends before",
        {
            "content": b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n',
            "headers": {"Content-Type": "multipart/form-data; boundary=b"},
        },
    ),
    Bad("not base64", 422, "invalid_parameter", "base64", {"json": {"image": "?!"}}),
    Bad(
        "data URI without base64",
        422,
        "invalid_parameter",
        "base64",
        {"json": {"image": "data:image/png,abc"}},
    ),
    Bad("an address", 403, "forbidden_url", "URL", {"json": {"image": "http://127.0.0.1/a.jpg"}}),
    Bad("a file address", 403, "forbidden_url", "URL", {"json": {"image": "file:///etc/hosts"}}),
    Bad("empty file", 422, "unreadable_image", "empty", form(b"")),
    Bad("text as image", 415, "unsupported_image", "JPEG", form(b"hello " * 100)),
    Bad("PDF-like", 422, "unreadable_image", "PDF", form(b"%PDF-1.7 nothing")),
    Bad("cut JPEG", 422, "unreadable_image", "damaged", form(encoded(scene())[:-3000])),
    Bad("cut PNG", 422, "unreadable_image", "damaged", form(encoded(scene(), "PNG")[:400])),
    Bad("broken PNG", 422, "unreadable_image", "damaged", form(PNG[:60] + b"\0" * 9 + PNG[69:])),
    Bad("too many pixels", 413, "image_too_large", "megapixels", {"make": "bomb"}),
    Bad("too long a strip", 413, "image_too_large", "long side", {"make": "strip"}),
    Bad("body too large", 413, "body_too_large", "20 MB", form(JPEG + b"\0" * 21_000_000)),
    Bad("unknown style", 422, "invalid_parameter", "style", form(style="poem")),
    Bad("unknown field", 422, "invalid_parameter", "langauge", form(langauge="ko")),
    Bad("no question", 400, "invalid_request", "question", form(), "/v1/vqa"),
    Bad("empty question", 400, "invalid_request", "question", form(question=""), "/v1/vqa"),
    Bad(
        "empty list of questions",
        422,
        "invalid_parameter",
        "question",
        {"json": {"image": B64, "question": []}},
        "/v1/vqa",
    ),
    Bad("hot", 422, "invalid_parameter", "temperature", form(temperature="9")),
    Bad("no number", 422, "invalid_parameter", "max_tokens", form(max_tokens="many")),
    Bad("no tokens", 422, "invalid_parameter", "max_tokens", form(max_tokens="-5")),
    Bad("language", 422, "invalid_parameter", "language", form(language="한국어")),
    Bad("not a truth value", 422, "invalid_parameter", "stream", form(stream="perhaps")),
    Bad(
        "a file for a field",
        422,
        "invalid_parameter",
        "prompt",
        {"files": {"image": JPEG, "prompt": ("p.txt", b"hi")}},
    ),
    Bad(
        "too many images",
        422,
        "invalid_parameter",
        "17 images",
        {"files": [("image", JPEG)] * 17},
    ),
    Bad("unknown model", 404, "model_not_found", "ollama pull", form(model="nope")),
    Bad("model by a bad name", 404, "model_not_found", "installed", form(model="../../etc")),
    Bad("blind model", 422, "invalid_parameter", "does not accept images", form(model="tiny-text")),
    Bad("unknown path", 404, "not_found", "/docs", {}, "/v1/paint"),
    Bad("wrong method", 405, "method_not_allowed", "POST", {}, DESCRIBE, "GET"),
]


def filled(how: dict[str, Any]) -> dict[str, Any]:
    """Large pictures are made when they are needed."""
    if "make" not in how:
        return how
    size = {"bomb": (9000, 9000), "strip": (9000, 20)}[how["make"]]
    return form(encoded(scene(8, 8).convert("1").resize(size), "PNG"))


def streamed(bad: Bad) -> Bad:
    """The same in a form that asks for a stream: it has not begun, so nothing changes."""
    how = {**bad.how, "data": {"stream": "true", **bad.how["data"]}}
    return replace(bad, name=f"{bad.name}, stream", how=how)


ALL = BAD + [streamed(bad) for bad in BAD if "data" in bad.how and "stream" not in bad.how["data"]]


@pytest.mark.parametrize("bad", ALL, ids=lambda bad: bad.name)
def test_bad_request(client: httpx.Client, bad: Bad) -> None:
    response = client.request(bad.method, bad.path, **filled(bad.how))
    print(f"{bad.name}: {response.text}")
    problem = response.json()
    assert (response.status_code, problem["code"]) == (bad.status, bad.code)
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["status"] == bad.status
    assert problem["title"]
    assert problem["type"] == f"urn:problem:{bad.code}"
    assert problem["request_id"] == response.headers["x-request-id"]
    assert bad.says in problem["detail"]
    assert problem["detail"].endswith((".", "`"))
    assert "server-timing" in response.headers


def test_request_id_is_taken_over_where_sane(client: httpx.Client) -> None:
    kept = client.get("/health", headers={"X-Request-ID": "my-id_1.2:3"})
    assert kept.headers["x-request-id"] == "my-id_1.2:3"
    for insane in ("a b", "x" * 200, "<script>", ""):
        made = client.get("/health", headers={"X-Request-ID": insane}).headers["x-request-id"]
        assert re.fullmatch(r"req_[0-9a-f]{32}", made)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254", "[::1]"])
def test_addresses_inside_are_not_fetched_where_fetching_is_on(
    daemon: Daemon, tmp_path_factory: pytest.TempPathFactory, host: str
) -> None:
    log = tmp_path_factory.mktemp("fetching") / "server.log"
    settings = {"OLLAMA_HOST": daemon.url, "MODEL_NAME": "tiny-vlm", "ALLOW_URL_FETCH": "true"}
    with Server(log, **settings) as server:
        url = f"http://{host}:{server.port}/docs"
        body = {"image": [url]}
        response = httpx.post(f"{server.url}{DESCRIBE}", json=body, trust_env=False)
        assert (response.status_code, response.json()["code"]) == (403, "forbidden_url")
        assert "path=/docs" not in server.log()
