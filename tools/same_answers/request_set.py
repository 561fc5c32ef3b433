"""The requests that both commits are sent."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import httpx

from tests.background_server import REPO
from tests.images.files import tiff_pages
from tests.integration.test_chat_bodies import ANSWERED, REFUSED
from tests.integration.test_problems import ALL, filled
from tests.pictures import base64_of, encoded, scene, text_pdf

EXAMPLES = REPO / "examples"
JPEG = encoded(scene())
SMALL = encoded(scene(64, 48), "PNG")
DATA = f"data:image/png;base64,{base64_of(SMALL)}"
PDF = text_pdf(["Invoice 7\n\nTotal 25", "Page two", "The end"])
FIXED: dict[str, Any] = {"temperature": 0, "seed": 7}
FORMS: dict[str, tuple[dict[str, Any], str]] = {  # fields, `Accept`
    "JSON": ({}, "*/*"),
    "SSE": ({"stream": "true"}, "*/*"),
    "NDJSON": ({"stream": "true"}, "application/x-ndjson"),
    "text": ({}, "text/plain"),
}
SCHEMA = {
    "type": "object",
    "properties": {"total": {"type": "integer"}, "shop": {"type": ["string", "null"]}},
    "required": ["total", "shop"],
}


class Before(Enum):
    """What happens to a server before it gets a request."""

    NOTHING = "nothing"
    HOLD_SLOT = "another request takes the only slot"
    DRAIN = "as HOLD_SLOT, and the server gets SIGTERM"


@dataclass(frozen=True, slots=True)
class Sent:
    """One request.

    Attributes:
        how: arguments of `httpx.Request`.
        engine: prepares the engine for the request, and restores it.
    """

    name: str
    method: str
    path: str
    how: Mapping[str, Any] = field(default_factory=dict)
    before: Before = Before.NOTHING
    engine: Callable[[], AbstractContextManager[None]] = nullcontext

    def request(self, url: str) -> httpx.Request:
        """Build the request for a server at `url`."""
        return httpx.Request(self.method, url + self.path, **self.how)


def form(
    path: str, name: str, image: bytes | list[bytes] = JPEG, accept: str = "*/*", **fields: Any
) -> Sent:
    """A task's request as multipart/form-data."""
    images = image if isinstance(image, list) else [image]
    how = {
        "files": [("image", ("a", data)) for data in images],
        "data": {**FIXED, **fields},
        "headers": {"Accept": accept, "Content-Type": "multipart/form-data; boundary=border"},
    }
    return Sent(f"{path} {name}", "POST", f"/v1/{path}", how)


def body(path: str, name: str, accept: str = "*/*", **fields: Any) -> Sent:
    """A task's request as JSON."""
    how = {"json": {"image": DATA, **FIXED, **fields}, "headers": {"Accept": accept}}
    return Sent(f"{path} {name}, JSON body", "POST", f"/v1/{path}", how)


def chat(name: str, content: Any = None, **fields: Any) -> Sent:
    """A chat completion about a picture."""
    seen = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": DATA}},
    ]
    messages = [{"role": "user", "content": content or seen}]
    how = {"json": {"messages": messages, **FIXED, **fields}}
    return Sent(f"chat {name}", "POST", "/v1/chat/completions", how)


def get(path: str, method: str = "GET", name: str = "", **headers: str) -> Sent:
    """A request without a body; `_` in the names of header fields stands for `-`."""
    fields = {key.replace("_", "-"): value for key, value in headers.items()}
    return Sent(f"{method} {path} {name}".rstrip(), method, path, {"headers": fields})


def tasks(picture: bytes = JPEG) -> Iterator[Sent]:
    """Every task in every response format, and as a JSON body."""
    own: dict[str, dict[str, Any]] = {
        "describe": {},
        "ocr": {},
        "vqa": {"question": ["What is red?", "무엇이 파란색인가요?"]},
        "extract": {"schema": SCHEMA},
        "detect": {"labels": ["house", "tree"]},
    }
    for task, fields in own.items():
        text = {k: json.dumps(v) if isinstance(v, dict) else v for k, v in fields.items()}
        for kind, (more, accept) in FORMS.items():
            yield form(task, kind, picture, accept, **text, **more)
        yield body(task, "whole", **fields)
        yield body(task, "SSE", stream=True, **fields)
    for style in ("caption", "detailed", "alt_text"):
        yield form("describe", style, picture, style=style)
    for kind in ("markdown", "html", "json"):
        yield form("ocr", f"as {kind}", picture, format=kind)
        yield form("ocr", f"as {kind}, SSE", picture, format=kind, stream="true")
    yield form("describe", "two pictures", [picture, SMALL])
    yield form("ocr", "two pictures, SSE", [picture, SMALL], stream="true")
    yield form("detect", "two pictures", [picture, SMALL], labels="house")
    yield form("vqa", "in Korean", picture, question="What is this?", language="ko")
    yield form("describe", "short", picture, max_tokens="3")
    yield form("describe", "no limit", picture, max_tokens="-1")
    for detail in ("low", "high"):
        yield form("describe", f"detail {detail}", (EXAMPLES / "photo.jpg").read_bytes(),
                   detail=detail)  # fmt: skip


def documents() -> Iterator[Sent]:
    """PDFs and a TIFF of several pages."""
    letter = (EXAMPLES / "letter.pdf").read_bytes()
    scanned = (REPO / "tests/cases/g_scan_bad_ocr_layer.pdf").read_bytes()
    locked = (REPO / "tests/images/pdf/locked.pdf").read_bytes()
    yield form("ocr", "PDF", PDF)
    yield form("ocr", "PDF, SSE", PDF, stream="true")
    yield form("ocr", "PDF as text", PDF, "text/plain")
    yield form("ocr", "pages of a PDF", PDF, pages="3,1-2")
    yield form("ocr", "PDF with a prompt", PDF, prompt="Read only the total.")
    yield form("ocr", "a letter as Markdown", letter, format="markdown")
    yield form("ocr", "a letter and a picture", [letter, SMALL])
    yield form("describe", "PDF", letter)
    yield form("detect", "PDF", PDF, labels="total", pages="1")
    yield form("ocr", "scan with a bad text layer", scanned)
    yield form("ocr", "TIFF", tiff_pages(3))
    yield form("ocr", "page out of range", PDF, pages="4")
    yield form("ocr", "pages that cannot be read", PDF, pages="one")
    yield form("ocr", "locked PDF", locked)


def chats() -> Iterator[Sent]:
    """Chat completions, whole and streamed."""
    schema = {"type": "json_schema", "json_schema": {"name": "bill", "schema": SCHEMA}}
    bodies: dict[str, dict[str, Any]] = {
        "plain": {},
        "json_object": {"response_format": {"type": "json_object"}},
        "json_schema": {"response_format": schema},
        "effort": {"reasoning_effort": "low"},
        "short": {"max_tokens": 4},
    }
    for name, fields in bodies.items():
        yield chat(name, **fields)
        yield chat(f"{name}, streamed", stream=True, **fields)
    yield chat("streamed with usage", stream=True, stream_options={"include_usage": True})
    yield chat("text alone", content="Hello")
    yield chat("unknown model", model="nope")
    yield chat("unknown model, streamed", model="nope", stream=True)


def operations(model: str) -> Iterator[Sent]:
    """Models, probes, the OpenAPI document, the page, and unknown paths."""
    for path in ("/health", "/ready", "/v1/status", "/v1/models", "/openapi.json", "/docs", "/"):
        yield get(path)
    yield get(f"/v1/models/{model}")
    yield get("/v1/models/nope")
    yield get("/v1/status?model=nope")
    yield get("/web/main.js")
    yield get("/web/nothing.js")
    for method in ("HEAD", "OPTIONS", "DELETE"):
        yield get("/", method)
        yield get("/v1/ocr", method)
    yield get("/v1/chat/completions")
    yield get("/v1/nothing")
    yield get("/v1/ocr/", "POST")
    yield get("//evil.test/%2e%2e")
    yield get("/health", name="with an id of its own", X_Request_ID="")
    yield get("/metrics")


def cached() -> Iterator[Sent]:
    """Answers that may come from the cache."""
    for name in ("first", "again"):
        yield form("describe", f"cached, {name}", SMALL, prompt="once")
    bare = {"Cache-Control": "no-store"}
    yield Sent("describe not cached", "POST", "/v1/describe",
               {"json": {"image": DATA, **FIXED, "prompt": "once"}, "headers": bare})  # fmt: skip
    yield form("describe", "think", SMALL, think="true", max_reasoning_tokens="50")
    yield form("describe", "think, SSE", SMALL, think="true", stream="true")


def refused() -> Iterator[Sent]:
    """The refused requests and the chat bodies of the test suite."""
    for bad in ALL:
        yield Sent(f"refused: {bad.name}", bad.method, bad.path, _bounded(filled(bad.how)))
    for sent in [*ANSWERED, *REFUSED]:
        messages = {} if sent.messages is None else {"messages": sent.messages}
        how = {"json": {**messages, **FIXED, **sent.more}}
        yield Sent(f"chat body: {sent.name}", "POST", "/v1/chat/completions", how)


def _bounded(how: Mapping[str, Any]) -> dict[str, Any]:
    """Fix the boundary, which httpx chooses at random."""
    if "files" not in how or "headers" in how:
        return dict(how)
    return {**how, "headers": {"Content-Type": "multipart/form-data; boundary=border"}}


def keys() -> Iterator[Sent]:
    """To a server with API keys and CORS."""
    right = {"Authorization": "Bearer secret"}
    for path in ("/v1/ocr", "/v1/models", "/metrics", "/health", "/", "/openapi.json"):
        yield get(path)
        yield get(path, name="with a key", **right)
        yield get(path, name="with a wrong key", X_API_Key="wrong")
    for path in ("/v1/ocr", "/v1/chat/completions"):
        yield get(path, "POST")
        yield get(path, "OPTIONS", Origin="https://a.test", Access_Control_Request_Method="POST")
    yield get("/health", name="from the page", Origin="https://a.test")
    yield get("/health", name="from another page", Origin="https://b.test")


def limits() -> Iterator[Sent]:
    """To a server with low limits that downloads images."""
    yield form("describe", "body too large", b"\0" * 1_100_000)
    yield chat("body too large", content="x" * 1_100_000)
    yield form("describe", "too many pixels", encoded(scene(1200, 1000)))
    yield form("describe", "too many images", [SMALL] * 3)
    yield form("ocr", "too many pages", PDF)
    yield form("ocr", "few pages", PDF, pages="2-3")
    yield form("describe", "a forbidden model", SMALL, model="another")
    for address in ("http://127.0.0.1/a.png", "http://[::1]:1/", "ftp://a.test/a", "https://a b/"):
        yield body("describe", f"address {address}", image=address)
    yield form("describe", "context overflow", SMALL, prompt="word " * 6000)
    yield chat("context overflow", content="word " * 20_000)


def waiting() -> Iterator[Sent]:
    """To a server whose one slot is taken."""
    hold = Before.HOLD_SLOT
    yield replace(form("describe", "queued, SSE", SMALL, stream="true"), before=hold)
    yield replace(form("describe", "queued", SMALL), before=hold)
    yield replace(chat("queued, streamed", stream=True), before=hold)


def full() -> Iterator[Sent]:
    """To a server with one slot, no queue, and four requests a day."""
    yield replace(form("describe", "queue full", SMALL), before=Before.HOLD_SLOT)
    yield replace(chat("queue full", stream=True), before=Before.HOLD_SLOT)
    yield form("describe", "rate limited", SMALL)
    yield chat("rate limited")


def draining() -> Iterator[Sent]:
    """To a server that was told to end while a request runs."""
    yield replace(form("describe", "draining", SMALL), before=Before.DRAIN)
