"""What a connection sends at once; how it cuts slow clients is in tests/integration."""

import asyncio

from app.connection import _Together


class Transport(asyncio.Transport):
    """Notes what is done with it."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[bytes | str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.done.append(bytes(data))

    def close(self) -> None:
        self.done.append("closed")


HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


async def test_a_head_goes_out_with_what_follows() -> None:
    transport = Transport()
    both = _Together(transport)
    for piece in (HEAD, b"a", b"b", HEAD, b"c"):
        both.write(piece)
    await asyncio.sleep(0)
    assert transport.done == [HEAD + b"a", b"b", HEAD + b"c"]


async def test_a_head_alone_does_not_wait() -> None:
    transport = Transport()
    both = _Together(transport)
    both.write(HEAD)
    assert transport.done == []
    await asyncio.sleep(0)
    assert transport.done == [HEAD]
    both.write(b"a")
    assert transport.done == [HEAD, b"a"]


async def test_a_head_is_out_before_the_end() -> None:
    transport = Transport()
    both = _Together(transport)
    both.write(HEAD)
    both.close()
    await asyncio.sleep(0)
    assert transport.done == [HEAD, "closed"]
