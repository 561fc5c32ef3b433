"""A client who leaves frees the model, in every form of answer."""

import json
import socket
import time

import httpx
import pytest

from tests.inference_server import Server
from tests.ollama_daemon.process import Daemon
from tests.pictures import base64_of, encoded, scene
from tests.polling import wait_until

MOST_TOKENS = 100  # of 400, after the client has left; on an idle machine it is a handful


def request(server: Server, accept: str = "*/*", **fields: object) -> socket.socket:
    """Send a request for a long answer; the socket, to be closed."""
    body = json.dumps(
        {
            "image": base64_of(encoded(scene(64, 64))),
            "model": "slow-vlm",
            "max_tokens": 400,
            **fields,
        }
    )
    head = (
        f"POST /v1/describe HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n"
        "Cache-Control: no-store\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    sock = socket.create_connection(("127.0.0.1", server.port))
    sock.sendall((head + body).encode())
    return sock


def queued(client: httpx.Client) -> int:
    return int(client.get("/v1/status").json()["queue"]["waiting"])


@pytest.fixture
def warm(client: httpx.Client) -> None:
    """The slow model is loaded."""
    fields = {"image": base64_of(encoded(scene(64, 64))), "model": "slow-vlm", "max_tokens": 1}
    assert client.post("/v1/describe", json=fields).status_code == 200


@pytest.mark.parametrize(
    ("accept", "stream"),
    [("*/*", True), ("*/*", False), ("application/x-ndjson", True), ("text/plain", True)],
    ids=["sse", "json", "ndjson", "text"],
)
def test_leaving_ends_the_generation(
    on_daemon: Server, daemon: Daemon, warm: None, accept: str, stream: bool
) -> None:
    mark = daemon.mark()
    sock = request(on_daemon, accept, stream=stream)
    daemon.wait_for_tokens(mark)
    sock.close()
    left, before = time.monotonic(), daemon.tokens(mark)
    daemon.wait_for_requests(mark, "/api/chat")
    took, more = time.monotonic() - left, daemon.tokens(mark) - before
    print(f"({accept}, stream={stream}): freed after {took * 1e3:.0f} ms and {more} tokens")
    assert more < MOST_TOKENS


def test_leaving_the_queue_is_never_seen_by_the_daemon(
    on_daemon: Server, daemon: Daemon, client: httpx.Client, warm: None
) -> None:
    mark = daemon.mark()
    running = request(on_daemon, stream=True)
    daemon.wait_for_tokens(mark)
    waiting = request(on_daemon, stream=False)
    wait_until(lambda: queued(client) == 1)
    waiting.close()
    wait_until(lambda: queued(client) == 0)
    assert client.get("/v1/status").json()["slots"]["running"] == 1
    running.close()
    daemon.wait_for_requests(mark, "/api/chat")
    time.sleep(0.2)
    assert len(daemon.since(mark).prompts) == 1


def test_who_waits_is_told_its_place(
    on_daemon: Server, daemon: Daemon, client: httpx.Client, warm: None
) -> None:
    mark = daemon.mark()
    first = request(on_daemon, stream=True)
    daemon.wait_for_tokens(mark)
    second = request(on_daemon, stream=False)
    wait_until(lambda: queued(client) == 1)
    fields = {"image": base64_of(encoded(scene(64, 64))), "stream": True}
    with client.stream("POST", "/v1/ocr", json=fields) as third:
        lines = third.iter_lines()
        told = [line for line in (next(lines) for _ in range(6)) if line]
        assert told[0] == "event: start"
        assert told[2] == "event: queued"
        assert json.loads(told[3].removeprefix("data: "))["position"] == 2
        second.close()
        following = [line for line in (next(lines) for _ in range(3)) if line]
        assert following[0] == "event: queued"
        assert json.loads(following[1].removeprefix("data: "))["position"] == 1
        first.close()
        rest = list(lines)
    assert "event: done" in rest


def test_the_next_request_runs_at_once(
    on_daemon: Server, daemon: Daemon, client: httpx.Client, warm: None
) -> None:
    mark = daemon.mark()
    sock = request(on_daemon, stream=True)
    daemon.wait_for_tokens(mark)
    sock.close()
    fields = {"image": base64_of(encoded(scene(64, 64))), "model": "slow-vlm", "max_tokens": 1}
    before = daemon.tokens(mark)
    assert client.post("/v1/describe", json=fields).status_code == 200
    assert daemon.tokens(mark) - before < MOST_TOKENS
