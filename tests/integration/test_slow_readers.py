"""Clients that do not read what they asked for: their slot is free at the deadline, and they are
dropped once they have taken nothing for `STALL_TIMEOUT_S`."""

import json
import random
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.fake_ollama.script import HANG, Head, Script, begins, done, word
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import Server
from tests.pictures import base64_of, encoded, scene
from tests.polling import wait_until

PICTURE = base64_of(encoded(scene(64, 64)))
BUSY_S = 40.0  # what a busy machine may add; less than `LONG_S`
LONG_S = "60"  # a limit that is not to be met
# More than the buffers of the kernel hold, on both sides, in as many characters as an answer has.
PIECES, PIECE = 1500, 660
FOUR_BYTES = (0x20000, 0x2A6D6)  # characters that are as long in UTF-8
TCP_ESTABLISHED = 1  # of linux/tcp_states.h


def _long() -> Script:
    """An answer of 4 MB, none of it twice."""
    chosen = random.Random(1)
    said = [
        word("".join(chr(chosen.randrange(*FOUR_BYTES)) for _ in range(PIECE)))
        for _ in range(PIECES)
    ]
    return (Head(), *said, done(tokens=PIECES))


LONG = _long()


@pytest.fixture(scope="module")
def fake_ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as fake_ollama:
        yield fake_ollama


@contextmanager
def serving(fake_ollama: FakeOllama, folder: Path, **settings: str) -> Iterator[Server]:
    fake_ollama.reset()
    known = {"OLLAMA_HOST": fake_ollama.url, "MODEL_NAME": "fake-vlm", "NUM_CTX": "32768"}
    with Server(folder / "server.log", **known, **settings) as server:
        # What happens once in a server is no part of a deadline.
        headers = {"Cache-Control": "no-store", "X-API-Key": "k"}
        fields = {"image": PICTURE, "prompt": "the first request"}
        httpx.post(f"{server.url}/v1/describe", json=fields, headers=headers, trust_env=False)
        wait_until(lambda: fake_ollama.counts.running == 0)
        fake_ollama.play(LONG)
        yield server


def send(server: Server, data: bytes) -> socket.socket:
    """A client with a small buffer, which has sent this and reads nothing."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sock.settimeout(30)
    sock.connect(("127.0.0.1", server.port))
    sock.sendall(data)
    return sock


def ask(server: Server, *head: str, **fields: object) -> socket.socket:
    body = json.dumps({"image": PICTURE, "max_tokens": 2 * PIECES, **fields})
    lines = [
        "POST /v1/describe HTTP/1.1", "Host: x", "Content-Type: application/json",
        f"Content-Length: {len(body)}", *head,
    ]  # fmt: skip
    return send(server, ("\r\n".join(lines) + "\r\n\r\n" + body).encode())


def running(server: Server) -> int:
    return int(httpx.get(f"{server.url}/v1/status", trust_env=False).json()["slots"]["running"])


def is_open(sock: socket.socket) -> bool:
    """Whether the server has not ended this connection, as the kernel knows it: nothing is read."""
    state: int = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state == TCP_ESTABLISHED


FORMS = {
    "sse": ((), True),
    "ndjson": (("Accept: application/x-ndjson",), True),
    "text": (("Accept: text/plain",), True),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_slot_is_free_at_the_deadline(
    fake_ollama: FakeOllama, tmp_path: Path, form: str
) -> None:
    head, stream = FORMS[form]
    limit_s = 2.0
    settings = {"REQUEST_TIMEOUT_S": str(limit_s), "STALL_TIMEOUT_S": LONG_S}
    with serving(fake_ollama, tmp_path, **settings) as server:
        sock = ask(server, "Cache-Control: no-store", *head, stream=stream)
        wait_until(lambda: running(server) == 1, BUSY_S)
        took = wait_until(lambda: running(server) == 0, limit_s + 1 + BUSY_S)
        print(f"{form}: free {took:.1f} s after it began, at a deadline of {limit_s} s")
        sock.close()  # the log has a line once the request is over
        wait_until(lambda: "deadline_exceeded" in server.log(), BUSY_S)


def test_a_stream_that_nobody_reads_is_dropped(fake_ollama: FakeOllama, tmp_path: Path) -> None:
    settings = {"REQUEST_TIMEOUT_S": LONG_S, "STALL_TIMEOUT_S": "1"}
    with (
        serving(fake_ollama, tmp_path, **settings) as server,
        ask(server, "Cache-Control: no-store", stream=True),
    ):
        wait_until(lambda: running(server) == 1, BUSY_S)
        took = wait_until(lambda: running(server) == 0, 1.25 + BUSY_S)
        print(f"dropped {took:.1f} s after it began, at a stall of 1 s")


def test_a_whole_answer_that_nobody_reads_is_dropped(
    fake_ollama: FakeOllama, tmp_path: Path
) -> None:
    with serving(fake_ollama, tmp_path, STALL_TIMEOUT_S="1") as server:
        before = fake_ollama.counts.chats
        sock = ask(server, stream=False)
        wait_until(lambda: fake_ollama.counts.chats > before and fake_ollama.counts.running == 0)
        took = wait_until(lambda: not is_open(sock), 1.25 + BUSY_S)
        print(f"dropped {took:.1f} s after it was made, at a stall of 1 s")
        sock.close()


def test_static_files_that_nobody_reads_are_dropped(
    fake_ollama: FakeOllama, tmp_path: Path
) -> None:
    """They want no key."""
    with serving(fake_ollama, tmp_path, STALL_TIMEOUT_S="1", API_KEYS="k") as server:
        page = httpx.get(f"{server.url}/docs", trust_env=False).text
        found = re.search(r'src="([^"]+\.js)"', page)
        assert found
        sock = send(server, f"GET {found[1]} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 16)
        assert is_open(sock)
        took = wait_until(lambda: not is_open(sock), 1.25 + BUSY_S)
        print(f"dropped after {took:.1f} s, at a stall of 1 s")
        sock.close()


def test_who_reads_slowly_is_not_dropped(fake_ollama: FakeOllama, tmp_path: Path) -> None:
    settings = {"REQUEST_TIMEOUT_S": LONG_S, "STALL_TIMEOUT_S": "4"}
    with (
        serving(fake_ollama, tmp_path, **settings) as server,
        ask(server, "Cache-Control: no-store", stream=True) as sock,
    ):
        received = 0
        slow_until = time.monotonic() + 9
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)  # then fast
        seen = b""
        while b"event: done" not in seen:
            data = sock.recv(65_536)
            assert data, f"dropped after {received} bytes"
            seen = seen[-20:] + data
            received += len(data)
            if time.monotonic() < slow_until:
                time.sleep(0.2)
        assert received > PIECES * PIECE


def test_one_slow_reader_holds_nobody_else(fake_ollama: FakeOllama, tmp_path: Path) -> None:
    """Equal requests share a generation: it goes on though one of its readers reads nothing."""
    settings = {"REQUEST_TIMEOUT_S": LONG_S, "STALL_TIMEOUT_S": LONG_S}
    with (
        serving(fake_ollama, tmp_path, **settings) as server,
        ask(server, stream=True, temperature=0),
    ):
        wait_until(lambda: running(server) == 1, BUSY_S)
        fields = {"image": PICTURE, "max_tokens": 2 * PIECES, "temperature": 0, "stream": True}
        answer = httpx.post(f"{server.url}/v1/describe", json=fields, trust_env=False, timeout=120)
        assert answer.text.rpartition("event: ")[2].startswith("done")
        assert running(server) == 0
        assert fake_ollama.counts.most <= 1
        assert len(fake_ollama.asked) >= 1


def test_the_queue_goes_on_after_a_reader_that_reads_nothing(
    fake_ollama: FakeOllama, tmp_path: Path
) -> None:
    limit_s = 2.0
    settings = {"REQUEST_TIMEOUT_S": str(limit_s), "STALL_TIMEOUT_S": LONG_S, "CACHE_MB": "0"}
    with (
        serving(fake_ollama, tmp_path, **settings) as server,
        ask(server, "Cache-Control: no-store", stream=True),
    ):
        wait_until(lambda: running(server) == 1, BUSY_S)
        fake_ollama.play(begins("a house", done()))
        wait_until(
            lambda: httpx.post(
                f"{server.url}/v1/describe", json={"image": PICTURE}, trust_env=False,
                timeout=120,
            ).status_code == 200,
            limit_s + 1 + BUSY_S,
        )  # fmt: skip


def test_who_leaves_with_requests_behind_frees_the_slot(
    fake_ollama: FakeOllama, tmp_path: Path
) -> None:
    """The request that runs is told, not the last one that was sent."""
    settings = {"REQUEST_TIMEOUT_S": LONG_S, "STALL_TIMEOUT_S": LONG_S}
    with serving(fake_ollama, tmp_path, **settings) as server:
        fake_ollama.play(begins("one", *HANG))
        sock = ask(server, "Cache-Control: no-store", stream=True)
        wait_until(lambda: running(server) == 1, BUSY_S)
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        time.sleep(0.5)
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()
        wait_until(lambda: running(server) == 0, BUSY_S)
        assert "a bug" not in server.log()
