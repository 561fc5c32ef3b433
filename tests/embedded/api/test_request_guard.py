"""Checks of origins and limits of request bodies, by the running engine and without it."""

import asyncio
import json
import socket
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

import httpx
import pytest

from app.embedded.api import request_guard
from app.embedded.api.errors import ApiError
from app.embedded.api.origins import OriginPolicy
from app.embedded.api.request_guard import MAX_BODY_BYTES, RequestGuard
from tests.embedded.conftest import Program
from tests.embedded.pictures import chat


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 200),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 403),
        # A page of evil.example after its name was bound to 127.0.0.1.
        ({"Host": "evil.example:11434", "Origin": "http://evil.example:11434"}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/api/chat", "/api/show", "/"])
async def test_every_route_is_guarded(
    client: httpx.AsyncClient, fields: dict[str, str], status: int, path: str
) -> None:
    """A cross-site request without preflight has one of the content types of forms."""
    headers = {"Content-Type": "text/plain", **fields}
    method = "GET" if path == "/" else "POST"
    content = None if path == "/" else json.dumps({"model": "embedded"})
    response = await client.request(method, path, content=content, headers=headers)
    assert response.status_code == status
    if status == 403:
        assert "is not allowed; see OLLAMA_ORIGINS" in response.json()["error"]


def answer_to(program: Program, head: str) -> str:
    """The response to the head of a request whose body is never sent."""
    with socket.create_connection(("127.0.0.1", program.port), timeout=60) as connection:
        connection.sendall(head.encode())
        response = HTTPResponse(connection)  # head and body may come apart
        response.begin()
        return f"HTTP/1.1 {response.status} {response.reason}\r\n\r\n{response.read().decode()}"


def test_length_is_checked_before_the_body(program: Program) -> None:
    head = "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000000\r\n\r\n"
    answer = answer_to(program, head)
    assert answer.startswith("HTTP/1.1 413 ")
    assert '{"error":"request body is larger than 64 MB"}' in answer


@pytest.mark.parametrize(
    "fields",
    [
        "Host: localhost\r\nHost: evil.example",
        "Host: localhost\r\nContent-Length: 1\r\nContent-Length: 2",
        "Host: localhost\r\nContent-Length: -1",
        "Host: localhost\r\nX: " + "a" * 100_000,
    ],
)
def test_a_bad_head(program: Program, fields: str) -> None:
    answer = answer_to(program, f"POST /api/chat HTTP/1.1\r\n{fields}\r\n\r\n")
    assert answer.startswith("HTTP/1.1 400 ")


def test_trailers_without_end(program: Program) -> None:
    with socket.create_connection(("127.0.0.1", program.port), timeout=60) as connection:
        connection.sendall(
            b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        )
        sent = 0
        try:
            while sent < 5_000_000:
                connection.sendall(b"T: " + b"a" * 1000 + b"\r\n")
                sent += 1005
        except OSError:
            pass  # it has closed
    assert sent < 5_000_000


async def test_a_body_in_chunks(client: httpx.AsyncClient) -> None:
    async def chunks(count: int) -> Any:
        for _ in range(count):
            yield b" " * 1_000_000

    response = await client.post("/api/chat", content=chunks(MAX_BODY_BYTES // 10**6 + 30))
    assert response.status_code == 413
    assert response.json() == {"error": "request body is larger than 64 MB"}
    assert (await client.post("/api/chat", content=chunks(3))).status_code == 400


async def test_values_without_end(client: httpx.AsyncClient) -> None:
    raw = b'{"model":"embedded","options":{"a":[' + b"0," * 5_000_000 + b"0]}}"
    response = await client.post("/api/chat", content=raw)
    assert response.status_code == 400
    assert response.json() == {"error": "more than 500000 values"}


async def test_a_long_text(client: httpx.AsyncClient) -> None:
    response = await client.post("/api/chat", json=chat("what is this " * 100_000, stream=False))
    assert response.status_code == 200
    assert response.json()["prompt_eval_count"] == 32768


# Without the engine's process.


def echo_size() -> tuple[RequestGuard, list[str]]:
    """A guarded application that reads its body, and the errors that it received."""
    refused: list[str] = []

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        try:
            while (await receive()).get("more_body"):
                pass
            await receive()
        except ApiError as error:
            refused.append(f"{error.status} {error}")

    return RequestGuard(app, OriginPolicy("127.0.0.1"), lambda _error: app), refused


def scope() -> dict[str, Any]:
    return {"type": "http", "headers": [(b"host", b"localhost")]}


async def test_bodies_of_all_requests_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_guard, "MAX_TOTAL_BODY_BYTES", 1000)
    guarded, refused = echo_size()
    leave = asyncio.Event()

    def receive() -> Any:
        messages: Iterator[dict[str, Any]] = iter([{"body": b"a" * 400, "more_body": False}])

        async def take() -> dict[str, Any]:
            if message := next(messages, None):
                return message
            await leave.wait()
            return {"type": "http.disconnect"}

        return take

    async def send(_message: Any) -> None: ...

    held = [asyncio.create_task(guarded(scope(), receive(), send)) for _ in range(2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await guarded(scope(), receive(), send)
    (error,) = refused
    assert error.startswith("503 server busy")
    leave.set()
    await asyncio.gather(*held)
    await guarded(scope(), receive(), send)
    assert len(refused) == 1, "the bytes of finished requests still count"


async def test_a_body_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_guard, "BODY_TIMEOUT_S", 0.05)
    guarded, refused = echo_size()

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {"body": b"a", "more_body": True}

    async def send(_message: Any) -> None: ...

    await guarded(scope(), receive, send)
    assert refused == ["408 the request body did not arrive within 0 s"]


@pytest.mark.parametrize("value", ["1" * 1_000_000, "1m" * 500_000, "-" * 1_000_000])
async def test_a_long_keep_alive(client: httpx.AsyncClient, value: str) -> None:
    response = await client.post("/api/chat", json={"model": "embedded", "keep_alive": value})
    assert response.status_code == 400
    assert len(response.text) < 300
