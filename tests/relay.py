"""A TCP relay between a client and a server, which tells when the answer has begun."""

import asyncio
import threading
from typing import Self

from tests.ports import free_port

CHUNK = 65_536


class Relay:
    """Passes bytes between a free loopback port and `to`, and sets `seen` at the first chunk from
    there that holds `mark`: an event in place of a guess of how long a busy machine takes."""

    def __init__(self, to: int, mark: bytes) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.seen = threading.Event()
        self._to, self._mark = to, mark
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        listening = asyncio.start_server(self._serve, "127.0.0.1", self.port)
        asyncio.run_coroutine_threadsafe(listening, self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        pumps = [
            asyncio.ensure_future(self._pump(reader, back, watched=False)),
            asyncio.ensure_future(self._pump(there, writer, watched=True)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for end in (writer, back):
            end.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, watched: bool
    ) -> None:
        """Until one side ends."""
        try:
            while chunk := await reader.read(CHUNK):
                writer.write(chunk)
                await writer.drain()
                if watched and self._mark in chunk:
                    self.seen.set()
        except OSError:
            return
