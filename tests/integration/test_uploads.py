"""Bodies that are held together stay under `UPLOADS_MAX_MB`, and no client holds all of it."""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest

from tests.fake_ollama.server import FakeOllama
from tests.inference_server import Server
from tests.integration.test_connections import resident_mb
from tests.pictures import base64_of, encoded, scene
from tests.polling import wait_until

MOST_MB = 64
BODIES, BODY = 60, 19_000_000
HEAD = (
    "POST /v1/describe HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\nContent-Type: application/json\r\n"
)


@pytest.fixture(scope="module")
def fake_ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as fake_ollama:
        yield fake_ollama


@pytest.fixture
def server(fake_ollama: FakeOllama, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {
        "OLLAMA_HOST": fake_ollama.url,
        "MODEL_NAME": "fake-vlm",
        "API_KEYS": "one,two,three",
    }
    log = tmp_path_factory.mktemp("uploads") / "log"
    with Server(log, UPLOADS_MAX_MB=str(MOST_MB), **settings) as server:
        assert small(server, "one").status_code == 200
        yield server


def small(server: Server, key: str) -> httpx.Response:
    picture = base64_of(encoded(scene(64, 64)))
    headers = {"X-API-Key": key}
    return httpx.post(
        f"{server.url}/v1/describe",
        json={"image": picture}, headers=headers, trust_env=False, timeout=120,
    )  # fmt: skip


def large(server: Server, key: str) -> httpx.Response:
    """A body that is as large as one may be, all of it sent: an image that is none."""
    files = {"image": bytes(BODY)}
    headers = {"X-API-Key": key}
    return httpx.post(
        f"{server.url}/v1/describe", files=files, headers=headers, trust_env=False, timeout=120
    )


class Upload:
    """A body that is sent up to its last byte, which never comes."""

    def __init__(self, server: Server, key: str, chunked: bool) -> None:
        self.received = b""
        self.sock = socket.create_connection(("127.0.0.1", server.port), timeout=120)
        self._chunked = chunked
        length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {BODY}"
        self.sock.sendall(f"{HEAD.format(key)}{length}\r\n\r\n".encode())

    def send(self) -> None:
        piece = bytes(500_000)
        framed = b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece
        try:
            for _ in range(BODY // len(piece) - 1):
                self.sock.sendall(framed)
                time.sleep(0.001)
            if not self._chunked:
                self.sock.sendall(bytes(len(piece) - 1))
        except OSError:
            pass

    def answered(self) -> bool:
        """Whether the whole answer has come; `received` holds what has."""
        self.sock.settimeout(0.01)
        with suppress(OSError):
            while not (whole := b'"request_id"' in self.received):
                if not (data := self.sock.recv(65_536)):
                    break
                self.received += data
            return whole
        return False


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_uploads_together_are_bounded(server: Server, chunked: bool) -> None:
    before = resident_mb(server)
    most = before
    with ExitStack() as stack:
        uploads = [Upload(server, "one", chunked) for _ in range(BODIES)]
        for upload in uploads:
            stack.callback(upload.sock.close)
        threads = [threading.Thread(target=upload.send) for upload in uploads]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            most = max(most, resident_mb(server))
            time.sleep(0.02)
        # Another client is still served, small and large, while the first holds what it can.
        assert small(server, "two").status_code == 200
        assert large(server, "two").json()["code"] == "unsupported_image"
        most = max(most, resident_mb(server))
        kept = MOST_MB // 2 * 1_000_000 // BODY
        wait_until(lambda: sum(upload.answered() for upload in uploads) >= BODIES - kept)
        answers = [upload.received for upload in uploads]
        ended = Counter(answer[9:12] for answer in answers)
        print(f"{BODIES} bodies of {BODY / 1e6:g} MB: {ended}, {most - before:.0f} MB more")
        assert set(ended) == {b"", b"503"}
        assert ended[b""] == kept
        for answer in filter(None, answers):
            head, _, body = answer.partition(b"\r\n\r\n")
            assert b"retry-after: " in head
            assert json.loads(body)["code"] == "server_busy"
    # In 10^6 bytes and 2^20; a connection may hold 128 kB besides, and one body is parsed at once.
    assert most - before < MOST_MB + BODIES * 0.128 + 4 * BODY / 1e6
    # Until the server has seen them leave.
    wait_until(lambda: large(server, "one").status_code != 503)


def test_a_body_in_crumbs_takes_what_it_is(server: Server) -> None:
    """Chunks of two bytes: an object for each would take 28 times their size."""
    before = resident_mb(server)
    with socket.create_connection(("127.0.0.1", server.port), timeout=120) as sock:
        sock.sendall(f"{HEAD.format('one')}Transfer-Encoding: chunked\r\n\r\n".encode())
        crumbs = b"2\r\n  \r\n" * 1000
        for _ in range(1000):
            sock.sendall(crumbs)
        time.sleep(0.5)
        grown = resident_mb(server) - before
        print(f"2 MB in crumbs: {grown:.1f} MB more")
        assert grown < 30


def test_no_body_is_counted_twice(server: Server) -> None:
    """What is answered is let go: ten times the bound goes through, one after another."""
    for _ in range(10 * MOST_MB * 1_000_000 // BODY):
        assert large(server, "three").json()["code"] == "unsupported_image"
