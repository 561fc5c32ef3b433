"""A connection that brings its request in time, or is closed.

uvicorn has no such bound: half a head holds its connection for ever, and httptools keeps however
many header fields come. Both are measured in `tests/integration/test_slow_clients.py`. What comes
of a body while somebody waits for it is bounded by who reads it (`app.routes.body`).
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S = 10.0  # for the head of a request, and for the rest of a body that nobody waits for
MAX_HEAD = 65_536  # bytes of a request's line and header fields


class Connection(HttpToolsProtocol):
    """uvicorn's, with a clock that runs whenever something is to come and nobody waits for it."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._clock: asyncio.TimerHandle | None = None
        self._in_head = False
        self._head = 0  # bytes of it so far

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start()

    def data_received(self, data: bytes) -> None:
        if self._clock is None and (self.cycle is None or self.cycle.response_complete):
            self._start()
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > MAX_HEAD:
                self._in_head = False
                self.send_400_response(f"The head of the request is over {MAX_HEAD} bytes.")

    def on_message_begin(self) -> None:
        self._in_head, self._head = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _start(self) -> None:
        self._clock = self.loop.call_later(HEAD_S, self.transport.close)

    def _stop(self) -> None:
        if self._clock:
            self._clock.cancel()
            self._clock = None
