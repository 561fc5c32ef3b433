"""Clients that send slowly, or never end: each is cut in time, and others are answered meanwhile.

All of them wait at once, so that the test takes as long as one of them.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from app.routes.body import MIN_BYTES_PER_S, STALL_TIMEOUT_S
from app.server.protocol import HEAD_TIMEOUT_S, MAX_HEAD_BYTES
from tests.inference_server import Server
from tests.polling import HANG_S

HALVES = 100
EARLY_S = 0.5  # what a clock of the server may be early: it looks now and then
GET = b"GET /health HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /v1/describe HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
KEY = b"X-API-Key: k\r\n"
BODY = b"Content-Length: 1000000\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Slow:
    """What is sent at once, and what then every so many seconds; how it begins to be answered
    (nothing: it is only cut), and after how long it is cut, in seconds."""

    name: str
    first: bytes
    then: bytes = b""
    every_s: float = 1.0
    answer: bytes = b""
    cut_s: float = HEAD_TIMEOUT_S


CLIENTS = [
    Slow("nothing is sent", b""),
    Slow("empty lines", b"", b"\r\n"),
    Slow("half a head", GET),
    Slow("a head byte by byte", GET, b"X", 0.5),
    Slow("half a second head", GET + b"\r\n" + GET, b"X", 0.5, b"HTTP/1.1 200"),
    Slow("a head without end", GET, b"X: " + b"y" * 20_000 + b"\r\n", 0.1, b"HTTP/1.1 400", 0.3),
    Slow("one field without end", GET + b"X: ", b"y" * 20_000, 0.1, b"HTTP/1.1 400", 0.3),
    Slow("half a body", POST + KEY + BODY + b"{", answer=b"HTTP/1.1 408"),
    Slow("a body byte by byte", POST + KEY + BODY, b" ", 0.5, b"HTTP/1.1 408"),
    Slow("a body at a tenth of the rate", POST + KEY + BODY, b" " * (MIN_BYTES_PER_S // 20), 0.5,
         b"HTTP/1.1 408", STALL_TIMEOUT_S / 0.9),
    Slow("a body that is refused", POST + BODY, b" ", 0.5, b"HTTP/1.1 401"),
    Slow("chunks without end", POST + KEY + b"Transfer-Encoding: chunked\r\n\r\n",
         b"1\r\n \r\n", 0.5, b"HTTP/1.1 408"),
]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that wants a key. No engine is needed: nobody gets that far."""
    with Server(tmp_path_factory.mktemp("slow") / "server.log", API_KEYS="k") as server:
        yield server


async def be(slow: Slow, port: int) -> tuple[bytes, float]:
    """What the client got, and after how long it was cut."""
    started = time.monotonic()  # before the server's own clock starts
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        writer.write(slow.first)
        while slow.then:
            await asyncio.sleep(slow.every_s)
            writer.write(slow.then)

    sending = asyncio.create_task(send())
    got = b""
    try:
        while data := await reader.read(65_536):
            got += data
    except ConnectionError:
        pass  # cut while something was on its way
    seconds = time.monotonic() - started
    sending.cancel()
    writer.close()
    return got, seconds


async def healths(url: str, seconds: float) -> list[float]:
    """How long others wait for an answer, one after another."""
    waits = []
    until = time.monotonic() + seconds
    async with httpx.AsyncClient(trust_env=False) as client:
        while (started := time.monotonic()) < until:
            assert (await client.get(f"{url}/health")).status_code == 200
            waits.append(time.monotonic() - started)
            await asyncio.sleep(0.1)
    return waits


async def test_slow_clients_are_cut(server: Server) -> None:
    halves = [Slow("one of many", GET)] * HALVES
    clients = [*CLIENTS, *halves]
    answers = asyncio.gather(*(asyncio.wait_for(be(slow, server.port), HANG_S) for slow in clients))
    waits = await healths(server.url, HEAD_TIMEOUT_S)
    for slow, (got, seconds) in zip(clients, await answers, strict=True):
        assert got.startswith(slow.answer) if slow.answer else not got, (slow.name, got)
        assert seconds >= slow.cut_s - EARLY_S, (slow.name, seconds)
        if b"408" in slow.answer:
            assert b'"upload_timeout"' in got
            assert b"connection: close" in got
    print(f"{len(clients)} slow clients; others waited {max(waits) * 1e3:.0f} ms at most")
    assert max(waits) < HEAD_TIMEOUT_S / 2
    assert "a bug" not in server.log()


async def test_a_large_head_is_taken(server: Server) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        large = {"X-Large": "y" * (MAX_HEAD_BYTES - 1000)}
        assert (await client.get(f"{server.url}/health", headers=large)).status_code == 200


async def test_a_client_that_leaves_while_it_sends_is_no_bug(server: Server) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(POST + KEY + BODY + b"{")
    await asyncio.sleep(0.2)
    writer.transport.abort()
    await asyncio.sleep(0.5)
    assert "a bug" not in server.log()
