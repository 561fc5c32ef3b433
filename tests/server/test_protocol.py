"""How many bytes a connection takes, counted at the protocol: a test over sockets sees only what
the kernel's buffers took, too."""

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from app.server.protocol import MAX_HEAD_BYTES, BufferedHttpProtocol

MOST = 128 * 1024
GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
FLOODS = {
    "fields": (GET, b"X: y\r\n"),
    "one field": (GET + b"X: ", b"y"),
    "an address": (b"GET /", b"y"),
    "empty lines": (b"", b"\r\n"),
    "trailers": (GET + CHUNKED + b"0\r\n", b"X: y\r\n"),
    "one trailer": (GET + CHUNKED + b"0\r\nX: ", b"y"),
    "a chunk extension": (GET + CHUNKED + b"1;", b"y"),
    "a body": (GET + b"Content-Length: 100000000\r\n\r\n", b"y"),
    "a body after a head that is large": (
        GET + b"X: " + b"y" * (MAX_HEAD_BYTES - 200) + b"\r\nContent-Length: 100000000\r\n\r\n",
        b"y",
    ),
    "chunks": (GET + CHUNKED, b"1\r\ny\r\n"),
    "requests": (b"", GET + b"\r\n"),
}


class Transport(asyncio.Transport):
    """Notes what is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = self.paused = False
        self.written = b""

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_write_buffer_size(self) -> int:
        return 0


async def nobody(_scope: Any, _receive: Any, _send: Any) -> None:
    """An application that has not got so far as to check the key."""
    await asyncio.Event().wait()


@pytest.mark.parametrize("step", [1000, 10_000, MAX_HEAD_BYTES])
@pytest.mark.parametrize("name", FLOODS)
async def test_what_is_taken_before_the_key_is_checked(name: str, step: int) -> None:
    config = uvicorn.Config(nobody, ws="none", lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    reading = BufferedHttpProtocol(60.0, config=config, server_state=state, app_state={})
    reading.connection_made(transport := Transport())
    first, more = FLOODS[name]
    flood = first + more * (1_000_000 // len(more))
    taken = 0
    while not (transport.closed or transport.paused or reading._protocol._refused):
        buffer = reading.get_buffer(-1)
        piece = flood[taken : taken + min(step, len(buffer))]
        assert piece, "it takes all of it"
        buffer[: len(piece)] = piece
        reading.buffer_updated(len(piece))
        taken += len(piece)
    print(f"{name}, {step} bytes at once: {taken} taken")
    assert taken <= MOST
    for task in state.tasks:
        task.cancel()
    reading.connection_lost(None)
