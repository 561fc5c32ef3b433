"""The asking side of `python -m benchmarks.ray_serve`."""

import asyncio

from benchmarks.ray_serve import firsts
from benchmarks.wire.client import Request

ONE = Request(b"GET / HTTP/1.1\r\n\r\n", 1, 1, b"end")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n%b\r\ntok0 end"


async def test_a_connection_that_the_server_closes_is_made_anew() -> None:
    """As HAProxy does when another takes its place: it says so, and closes after the answer."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for said in (b"", b"Connection: close\r\n"):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER % said)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        took = await firsts(server.sockets[0].getsockname()[1], ONE, 6)
    assert (len(took), connections) == (6, 3)
