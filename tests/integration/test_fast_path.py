"""The fast path and FastAPI's router answer alike: the same status, headers and bytes, but for
times and dates."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.fake_ollama.script import Cut, Head, Script, Send, done, refuses, word
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import Server
from tests.pictures import base64_of, encoded, scene

KEY = "key-of-the-tests"
JPEG = encoded(scene(64, 64))
PDF_LIKE = b"%PDF-1.7 nothing"
B64 = base64_of(JPEG)
URI = f"data:image/jpeg;base64,{B64}"
CHAT = "/v1/chat/completions"
SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}}
BOXES = '[{"bbox_2d": [10, 20, 500, 600], "label": "house"}]'

TASKS: dict[str, tuple[dict[str, Any], str]] = {  # the fields, and what the model writes
    "describe": ({"style": "caption"}, "A red house."),
    "ocr": ({}, "Total 25"),
    "vqa": ({"question": ["What?", "Why?"]}, "A house."),
    "extract": ({"schema": SCHEMA}, '{"total": 25}'),
    "detect": ({"labels": ["house"]}, BOXES),
}
FORMS = {"json": (False, "*/*"), "sse": (True, "*/*"), "ndjson": (True, "application/x-ndjson"),
         "text": (True, "text/plain")}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A request, and what the engine does with it."""

    name: str
    path: str
    how: dict[str, Any] = field(default_factory=dict)
    method: str = "POST"
    script: Script = ()
    key: str = KEY


def says(text: str) -> Script:
    """The whole answer in one piece, so that it is one event whichever way it is read."""
    return (Head(), Send(word(text).data + done().data))


def of_tasks() -> Iterator[Case]:
    for task, (fields, text) in TASKS.items():
        for form, (stream, accept) in FORMS.items():
            headers = {"Accept": accept}
            body = {"image": B64, "stream": stream, **fields}
            yield Case(
                f"{task}, JSON, {form}",
                f"/v1/{task}",
                {"json": body, "headers": headers},
                script=says(text),
            )
            if task != "extract":  # a form has its schema as text
                data = {"stream": str(stream).lower(), **fields}
                how = {"files": {"image": ("a.jpg", JPEG)}, "data": data, "headers": headers}
                yield Case(f"{task}, form, {form}", f"/v1/{task}", how, script=says(text))
    for form in ("markdown", "html"):
        how = {"json": {"image": [B64, B64], "format": form}}
        yield Case(f"ocr, {form}", "/v1/ocr", how, script=says("Total 25"))


def refused() -> Iterator[Case]:
    for task in TASKS:
        path = f"/v1/{task}"
        yield Case(f"{task}, nothing", path)
        yield Case(f"{task}, no key", path, key="")
        yield Case(f"{task}, wrong key", path, key="wrong")
        yield Case(f"{task}, unknown field", path, {"json": {"image": B64, "langauge": "ko"}})
        for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE"):
            yield Case(f"{task}, {method}", path, method=method)
        yield Case(f"{task}, a slash more", f"{path}/")
    path = "/v1/describe"
    yield Case("no JSON", path, {"content": b"{", "headers": {"Content-Type": "application/json"}})
    yield Case("raw bytes", path, {"content": JPEG, "headers": {"Content-Type": "image/jpeg"}})
    yield Case("no image", path, {"json": {"style": "caption"}})
    yield Case("an address", path, {"json": {"image": "http://127.0.0.1/a.jpg"}})
    yield Case("no base64", path, {"json": {"image": "?!"}})
    yield Case("empty file", path, {"files": {"image": ("a.jpg", b"")}})
    yield Case("no picture", path, {"files": {"image": ("a.pdf", PDF_LIKE)}})
    yield Case("too large", path, {"files": {"image": ("a.jpg", JPEG + bytes(1_100_000))}})
    yield Case("unknown model", path, {"json": {"image": B64, "model": "nope"}})
    yield Case("blind model", path, {"json": {"image": B64, "model": "fake_ollama-text"}})
    yield Case("too many questions", "/v1/vqa", {"json": {"image": B64, "question": ["?"] * 65}})
    yield Case("a query", f"{path}?stream=true", {"json": {"image": B64}}, script=says("A cat."))


def chat(stream: bool = False, **more: Any) -> dict[str, Any]:
    content = [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": URI}}]
    return {"json": {"messages": [{"role": "user", "content": content}], "stream": stream, **more}}


def of_openai() -> Iterator[Case]:
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    for stream in (False, True):
        how = "stream" if stream else "whole"
        yield Case(f"chat, {how}", CHAT, chat(stream), script=says("A house."))
        held = chat(stream, response_format=schema)
        yield Case(f"chat, {how}, schema", CHAT, held, script=says('{"total": 25}'))
        yield Case(f"chat, {how}, no JSON", CHAT, held, script=says("none"))
        yield Case(f"chat, {how}, unknown model", CHAT, chat(stream, model="nope"))
        yield Case(f"chat, {how}, tools", CHAT, chat(stream, tools=[{"type": "function"}]))
        yield Case(f"chat, {how}, no messages", CHAT, {"json": {"messages": [], "stream": stream}})
        yield Case(f"chat, {how}, no key", CHAT, chat(stream), key="")
        yield Case(f"chat, {how}, refused", CHAT, chat(stream), script=refuses(500, "no"))
    counted = chat(True, stream_options={"include_usage": True})
    yield Case("chat, with usage", CHAT, counted, script=says("A house."))
    yield Case("chat, no body", CHAT)
    yield Case("chat, a form", CHAT, {"data": {"messages": "x"}})
    yield Case("chat, a bad picture", CHAT, {"json": {"messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}}]}]}},
    )  # fmt: skip
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE"):
        yield Case(f"chat, {method}", CHAT, method=method)
    yield Case("chat, a slash more", f"{CHAT}/", chat())
    yield Case("chat, unknown path", "/v1/chat/nothing")
    yield Case("models", "/v1/models", method="GET")
    yield Case("models, no key", "/v1/models", method="GET", key="")
    yield Case("a model", "/v1/models/fake_ollama", method="GET")
    yield Case("a model, POST", "/v1/models/fake_ollama")
    yield Case("unknown model by name", "/v1/models/nope", method="GET")


def cut() -> Iterator[Case]:
    """What fails when the answer has begun."""
    script: Script = (Head(), Send(word("A red").data), Cut.CLOSED)
    for form, (stream, accept) in FORMS.items():
        how = {"json": {"image": B64, "stream": stream}, "headers": {"Accept": accept}}
        yield Case(f"cut, {form}", "/v1/describe", how, script=script)
    for stream in (False, True):
        yield Case(f"cut, chat, {stream}", CHAT, chat(stream), script=script)
    yield Case("refused by the engine", "/v1/ocr", {"json": {"image": B64}}, "POST",
               refuses(500, "unexpected EOF"))  # fmt: skip


CASES = [*of_tasks(), *refused(), *of_openai(), *cut()]
TIMES = re.compile(rb'("(?:\w+_ms|tokens_per_second|created)":)[\d.]+')
DURATIONS = re.compile(r"dur=[\d.]+")


@dataclass(frozen=True)
class Both:
    engine: FakeOllama
    fast: httpx.Client
    routed: httpx.Client


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    log = tmp_path_factory.mktemp("both")
    with FakeOllama() as engine:
        settings = {"OLLAMA_HOST": engine.url, "MODEL_NAME": "fake-vlm", "NUM_CTX": "8192",
                    "CACHE_MB": "0", "API_KEYS": KEY, "MAX_BODY_MB": "1"}  # fmt: skip
        program = "tests/integration/through_router.py"
        with (
            Server(log / "fast", **settings) as fast,
            Server(log / "routed", program, PYTHONPATH=".", **settings) as routed,
            httpx.Client(base_url=fast.url, trust_env=False, timeout=60) as to_fast,
            httpx.Client(base_url=routed.url, trust_env=False, timeout=60) as to_routed,
        ):
            yield Both(engine, to_fast, to_routed)


def answer(both: Both, client: httpx.Client, case: Case) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body, the times in them made equal."""
    both.engine.reset()
    if case.script:
        both.engine.play(case.script)
    headers = {"X-Request-ID": "req_1", **case.how.get("headers", {})}
    if case.key:
        headers["Authorization"] = f"Bearer {case.key}"
    request = client.build_request(case.method, case.path, **{**case.how, "headers": headers})
    body = b""
    response = client.send(request, stream=True)
    try:
        for piece in response.iter_raw():
            body += piece
    except httpx.RemoteProtocolError as error:  # a text that breaks off
        body += repr(error).encode()
    finally:
        response.close()
    told = dict(response.headers)
    told["date"] = ""
    told["server-timing"] = DURATIONS.sub("dur=0", told["server-timing"])
    if TIMES.search(body) and "content-length" in told:
        told["content-length"] = "of the times as they were"
    return response.status_code, told, TIMES.sub(rb"\g<1>0", body)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_ways_answer_alike(both: Both, case: Case) -> None:
    fast = answer(both, both.fast, case)
    assert fast == answer(both, both.routed, case)


def test_both_ways_are_counted_alike(both: Both) -> None:
    """By task, model and code, for all of the requests above."""
    assert counted(both.fast) == counted(both.routed)
    assert len(counted(both.fast)) > 1


def counted(client: httpx.Client) -> list[str]:
    text = client.get("/metrics", headers={"Authorization": f"Bearer {KEY}"}).text
    return [line for line in text.splitlines() if line.startswith("vlm_requests_total{")]
