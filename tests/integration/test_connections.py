"""What one connection may cost before its key is checked, and requests that are not HTTP/1.1.

Raw sockets against a real server process: no client library sends such requests.
"""

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.server.protocol import (
    HEAD_TIMEOUT_S,
    MAX_HEAD_BYTES,
    MAX_HEADER_FIELDS,
    MAX_PIPELINED_REQUESTS,
)
from tests.inference_server import Server

KEY = "k"
HOST = b"Host: x\r\n"
GET = b"GET /health HTTP/1.1\r\n" + HOST
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
SECONDS = 30  # for whatever is waited for here: the machine may be busy
RESPONSE = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that wants a key; no engine is needed."""
    log = tmp_path_factory.mktemp("connections") / "server.log"
    with Server(log, OLLAMA_HOST="127.0.0.1:9", API_KEYS=KEY) as server:
        yield server


def resident_mb(server: Server) -> float:
    """Resident memory of the server process."""
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found
    return int(found[1]) / 1024


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS)


def read_all(sock: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    received = b""
    try:
        while data := sock.recv(65_536):
            received += data
    except ConnectionError:
        pass  # the server closed while something was on its way to it
    return received


def exchange(server: Server, request: bytes) -> bytes:
    """Send, and read until the server closes."""
    with connect(server) as sock:
        sock.sendall(request)
        return read_all(sock)


def flood(server: Server, first: bytes, piece: bytes, most: int) -> tuple[bytes, int]:
    """Send `first`, then `piece` again and again until the connection breaks or `most` bytes are
    out; what came back, and how many bytes left here."""
    sent = 0
    with connect(server) as sock:
        try:
            sock.sendall(first)
            while sent < most:
                sock.sendall(piece)
                sent += len(piece)
        except ConnectionError:
            pass
        return read_all(sock), sent


FLOODS = {
    "trailers of a GET": (GET + CHUNKED + b"0\r\n", b"X-T: " + b"y" * 8000 + b"\r\n"),
    "small trailers": (GET + CHUNKED + b"0\r\n", b"a:\r\n" * 4000),
    "one trailer": (GET + CHUNKED + b"0\r\nX: ", b"y" * 16_000),
    "a chunk extension": (GET + CHUNKED + b"1;x=", b"y" * 16_000),
    "trailers without a key": (
        b"POST /v1/describe HTTP/1.1\r\n" + HOST + CHUNKED + b"1\r\nx\r\n0\r\n",
        b"X-T: " + b"y" * 8000 + b"\r\n",
    ),
    "trailers with a key": (
        b"POST /v1/describe HTTP/1.1\r\nX-API-Key: k\r\n" + HOST + CHUNKED + b"1\r\nx\r\n0\r\n",
        b"X-T: " + b"y" * 8000 + b"\r\n",
    ),
    "a head": (GET, b"X-H: " + b"y" * 8000 + b"\r\n"),
    "small fields": (GET, b"a:\r\n" * 4000),
    "an address": (b"GET /", b"y" * 16_000),
    "empty lines": (b"", b"\r\n" * 8000),
}  # fmt: skip


@pytest.mark.parametrize("name", FLOODS)
def test_what_has_no_content_is_cut(server: Server, name: str) -> None:
    """The bytes that leave here are also those in the kernel's buffers, a few MB; endless ones
    would reach 64 MB long before the clock of `HEAD_TIMEOUT_S` runs out."""
    first, piece = FLOODS[name]
    started = time.monotonic()
    before = resident_mb(server)
    received, sent = flood(server, first, piece, 64_000_000)
    took = time.monotonic() - started
    print(f"{name}: cut after {sent / 1e6:.1f} MB sent and {took:.2f} s; {received[:60]!r}")
    assert sent < 32_000_000
    assert took < HEAD_TIMEOUT_S
    assert resident_mb(server) - before < 20


def test_a_trailer_is_no_header(server: Server) -> None:
    """A key in a trailer does not count, though it comes in one piece with the head."""
    body = b"0\r\nX-API-Key: k\r\n\r\n"
    head = b"POST /v1/describe HTTP/1.1\r\n" + HOST + b"Connection: close\r\n" + CHUNKED
    assert RESPONSE.findall(exchange(server, head + body)) == [b"401"]


def test_a_body_without_a_key_is_not_kept(server: Server) -> None:
    """Of 60 clients without a key that send 4 MB each, nothing stays."""
    head = b"POST /v1/describe HTTP/1.1\r\n" + HOST + b"Content-Length: 8000000\r\n\r\n"
    socks = [connect(server) for _ in range(60)]
    before = resident_mb(server)
    try:
        for sock in socks:
            sock.sendall(head)
        for _ in range(64):
            for sock in socks:
                sock.sendall(bytes(65_536))
        for sock in socks:
            assert sock.recv(12) == b"HTTP/1.1 401"
        grown = resident_mb(server) - before
        print(f"grown by {grown:.1f} MB for 250 MB of bodies")
        assert grown < 60 * 0.128 + 10
    finally:
        for sock in socks:
            sock.close()


def test_many_fields_are_refused(server: Server) -> None:
    fields = b"".join(b"X-%d: y\r\n" % number for number in range(MAX_HEADER_FIELDS + 1))
    assert exchange(server, GET + fields + b"\r\n").startswith(b"HTTP/1.1 400")
    few = b"".join(b"X-%d: y\r\n" % number for number in range(MAX_HEADER_FIELDS // 2))
    assert exchange(server, GET + few + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
        b"GET /health HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /health\r\n\r\n",
        b"GET /health HTTP/0.9\r\nHost: a\r\n\r\n",
        b"GET /health HTTP/2.0\r\nHost: a\r\n\r\n",
    ],
)
def test_what_is_not_http_1_is_refused(server: Server, request_: bytes) -> None:
    received = exchange(server, request_)
    assert RESPONSE.findall(received) == [b"400"]
    assert b"connection: close" in received


def test_http_1_0_needs_no_host(server: Server) -> None:
    assert RESPONSE.findall(exchange(server, b"GET /health HTTP/1.0\r\n\r\n")) == [b"200"]


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    paths = [b"/health", b"/nowhere", b"/v1/status", b"/health"]
    requests = [b"GET %b HTTP/1.1\r\n" % path + HOST + b"X-API-Key: k\r\n\r\n" for path in paths]
    last = GET + b"Connection: close\r\n\r\n"
    received = exchange(server, b"".join([*requests, last]))
    assert RESPONSE.findall(received) == [b"200", b"404", b"200", b"200", b"200"]


def test_of_too_many_pipelined_requests_the_first_are_answered(server: Server) -> None:
    """Then the connection is closed, and the last answer says so: a client knows which of its
    requests were never begun (RFC 9112, 9.3.2 and 9.6)."""
    before = resident_mb(server)
    with connect(server) as sock:
        with contextlib.suppress(ConnectionError):
            sock.sendall((GET + b"\r\n") * 5000)
        received = read_all(sock)
    answers = RESPONSE.findall(received)
    print(f"{len(answers)} of 5000 were answered")
    assert answers == [b"200"] * (MAX_PIPELINED_REQUESTS + 1)
    heads = received.split(b"HTTP/1.1 ")[1:]
    assert [b"connection: close" in head for head in heads] == [False] * MAX_PIPELINED_REQUESTS + [
        True
    ]
    assert resident_mb(server) - before < 20


def test_what_follows_a_good_request_does_not_break_its_answer(server: Server) -> None:
    """Two requests in one piece, the second of them no HTTP: the first has a whole answer."""
    received = exchange(server, GET + b"\r\n" + b"NO HTTP\r\n\r\n")
    assert RESPONSE.findall(received)[0] == b"200"
    assert received.count(b"HTTP/1.1") <= 2
    assert b'{"status":"ok"}' in received


def test_a_broken_body_is_refused(server: Server) -> None:
    head = b"POST /v1/describe HTTP/1.1\r\nX-API-Key: k\r\n" + HOST + CHUNKED
    with connect(server) as sock:
        sock.sendall(head + b"1\r\nx\r\n")
        time.sleep(0.2)
        sock.sendall(b"no number\r\n")
        assert RESPONSE.findall(read_all(sock)) == [b"400"]


def test_a_head_of_64_kb_is_taken(server: Server) -> None:
    """However it comes: byte for byte the head is the same."""
    request = GET + b"X: " + b"y" * (MAX_HEAD_BYTES - 200) + b"\r\nConnection: close\r\n\r\n"
    assert RESPONSE.findall(exchange(server, request)) == [b"200"]
    with connect(server) as sock:
        for at in range(0, len(request), 5000):
            sock.sendall(request[at : at + 5000])
            time.sleep(0.01)
        assert RESPONSE.findall(read_all(sock)) == [b"200"]


@pytest.mark.parametrize("path", ["/health/", "/v1/ocr/", "/v1/models/", "/docs/", "/web/"])
def test_no_redirect_to_a_host_that_a_client_names(server: Server, path: str) -> None:
    head = f"GET {path} HTTP/1.1\r\nHost: evil.test\r\nX-API-Key: {KEY}\r\nConnection: close\r\n"
    received = exchange(server, head.encode() + b"\r\n")
    assert RESPONSE.findall(received)[0][:1] in b"45"
    assert b"evil.test" not in received


@pytest.mark.parametrize("host", ["a/b", "[", "a@b", "[::1", "a:b:c", "a?b", "\xe9"])
@pytest.mark.parametrize("path", ["/nowhere", "/web/nowhere"])
def test_an_odd_host_changes_nothing(server: Server, host: str, path: str) -> None:
    head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {KEY}\r\nConnection: close\r\n\r\n"
    received = exchange(server, head.encode("latin-1"))
    assert RESPONSE.findall(received) == [b"404"]
    assert f"There is nothing at {path}.".encode() in received
