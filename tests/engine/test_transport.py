"""The transport to the engine, over real sockets, against scripted servers."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trustme

from app.engine import transport
from app.engine.transport import EngineTransport
from tests.polling import HANG_S, wait_until_async

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[None]]
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Two: a\r\nX-Two: b\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Engine:
    """A server that answers each request by a function and counts its connections."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[bytes] = []
        self.connections = 0
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = 0
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                self.asked.append(head + await reader.readexactly(length))
                await self.answer(reader, writer, self.asked[-1])
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
        finally:
            writer.close()


@asynccontextmanager
async def engine(
    answer: Answer, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Engine, httpx.AsyncClient]]:
    scripted = Engine(answer)
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    url = f"{'https' if tls else 'http'}://localhost:{port}"
    client = httpx.AsyncClient(base_url=url, transport=EngineTransport())
    async with server, client:
        yield scripted, client


def writes(*pieces: bytes, then_closes: bool = False, pause_s: float = 0.01) -> Answer:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: bytes) -> None:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(pause_s)
        if then_closes:
            writer.close()

    return answer


async def test_a_connection_is_kept() -> None:
    async with engine(writes(WHOLE)) as (scripted, client):
        for _ in range(3):
            response = await client.post("/api/show?x=%C3%A9", json={"model": "m"})
            assert (response.status_code, response.text) == (200, "hello")
            assert response.headers.get_list("x-two") == ["a", "b"]
        assert scripted.connections == 1
        head, _, body = scripted.asked[0].partition(b"\r\n\r\n")
        assert head.startswith(b"POST /api/show?x=%C3%A9 HTTP/1.1\r\nHost: localhost:")
        assert body == b'{"model":"m"}'


async def test_tls_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    async with engine(writes(WHOLE), tls) as (_, client):
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.get("/")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with engine(writes(WHOLE), tls) as (_, client):
        assert (await client.get("/")).text == "hello"


async def test_at_once_there_are_as_many_as_requests() -> None:
    async with engine(writes(WHOLE, pause_s=0.05)) as (scripted, client):
        answers = await asyncio.gather(*(client.get("/") for _ in range(20)))
        assert [one.text for one in answers] == ["hello"] * 20
        assert scripted.connections == 20


async def test_one_that_the_engine_closed_is_not_used_again() -> None:
    async with engine(writes(WHOLE, then_closes=True)) as (scripted, client):
        await client.post("/")
        for _ in range(10):  # let the event loop see the end of the connection
            await asyncio.sleep(0.01)
        await client.post("/")
        assert scripted.connections == 2


async def test_one_that_closes_when_asked_again() -> None:
    """A GET is retried; a POST may already have taken effect."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(WHOLE)
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with engine(once) as (scripted, client):
        await client.get("/")
        assert (await client.get("/")).text == "hello"
        assert scripted.connections == 2
        with pytest.raises(httpx.ReadError):
            await client.post("/")
        assert scripted.connections == 2


@pytest.mark.parametrize(
    "pieces",
    [
        (CHUNKED + b"2\r\nhe\r\n", b"3\r\nllo\r\n0\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-", b"Length: 5\r\n\r\nhel", b"lo"),
        (b"HTTP/1.0 200 OK\r\n\r\nhel", b"lo"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",),
        (b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", WHOLE),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE,),
    ],
)  # fmt: skip
async def test_the_ways_a_body_ends(pieces: tuple[bytes, ...]) -> None:
    async with engine(writes(*pieces, then_closes=True)) as (_, client):
        for _ in range(2):
            answer = await client.get("/")
            assert (answer.status_code, answer.text) == (200, "hello")
            assert "link" not in answer.headers


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",), httpx.ReadError),
        ((CHUNKED + b"5\r\nhello\r\n",), httpx.ReadError),
        ((b"HTTP/1.1 200 OK\r\nConte",), httpx.ReadError),
        ((b"",), httpx.ReadError),
        ((b"SSH-2.0-OpenSSH_9.2\r\n",), httpx.RemoteProtocolError),
        ((CHUNKED + b"x\r\n",), httpx.RemoteProtocolError),
    ],
)  # fmt: skip
async def test_what_breaks(pieces: tuple[bytes, ...], error: type[Exception]) -> None:
    async with engine(writes(*pieces, then_closes=True)) as (_, client):
        with pytest.raises(error):
            await client.get("/")


async def test_nobody_listens() -> None:
    async with engine(writes(WHOLE)) as (_, client):
        await client.get("/")
        url = client.base_url
    async with httpx.AsyncClient(base_url=url, transport=EngineTransport()) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("/")


async def test_a_silence_is_not_waited_for_without_end() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    for pieces in ((b"",), (head, b"hel")):
        async with engine(writes(*pieces)) as (scripted, client):
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/", timeout=0.1)
            await asyncio.wait_for(scripted.left.wait(), HANG_S)


@pytest.mark.parametrize("said", [b"", CHUNKED + b"1\r\na\r\n"])
async def test_who_leaves_ends_the_connection(said: bytes) -> None:
    async with engine(writes(said)) as (scripted, client):

        async def ask() -> None:
            async with client.stream("POST", "/", timeout=None) as response:
                async for _ in response.aiter_raw():
                    pass

        asking = asyncio.create_task(ask())
        await wait_until_async(lambda: len(scripted.asked) == 1)
        await asyncio.sleep(0.1)
        assert not scripted.left.is_set()
        asking.cancel()
        await asyncio.wait_for(scripted.left.wait(), HANG_S)


async def test_an_answer_that_nobody_reads_does_not_pile_up() -> None:
    megabyte = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    sent = 0

    async def pours(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, __: bytes) -> None:
        nonlocal sent
        writer.write(CHUNKED)
        for _ in range(64):
            sent += 1
            writer.write(megabyte)
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    async with engine(pours) as (_, client), client.stream("GET", "/") as response:
        await asyncio.sleep(0.5)
        assert sent < 32, "backpressure holds the rest at the sender"
        read = [len(piece) async for piece in response.aiter_raw()]
        assert sum(read) == 64 * 0x100000
        assert max(read) < 2 * transport.MAX_BUFFERED_BYTES
