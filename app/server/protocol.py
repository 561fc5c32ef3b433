"""uvicorn's HTTP protocol with limits on what one connection may send, hold and leave unread.

uvicorn has no such limits: an incomplete head holds its connection for ever, endless trailers are
all kept, and an unread response stays in memory. `tests/integration/test_connections.py`,
`test_slow_clients.py` and `test_slow_readers.py` measure this. A body that the application reads is
limited by its reader (`app.routes.body`).

    socket -> BufferedHttpProtocol (shared buffer) -> BoundedHttpProtocol (limits) -> uvicorn
"""

import asyncio
import fcntl
import socket
import struct
import termios
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_TIMEOUT_S = 10.0  # for the head of a request, and for the rest of a body that nobody reads
# Bytes that may arrive without a byte of content: a head, trailers, the head of a chunk. Together
# with the same read, a connection holds at most twice this before its API key is checked.
MAX_HEAD_BYTES = 65_536
MAX_HEADER_FIELDS = 256  # of a head; a field takes ten times its smallest size in memory
MAX_PIPELINED_REQUESTS = 16  # requests that wait behind the running one
LINGER_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST, drop unsent data
STALL_CHECKS = 8  # checks of a slow reader within `stall_timeout_s`


class _RequestRefused(Exception):
    """A refused request. The message goes to the client."""


class BufferedHttpProtocol(asyncio.BufferedProtocol):
    """Reads into one buffer that all connections share, since data is parsed at once.

    Until the application reads the body, at most twice `MAX_HEAD_BYTES` are taken, then up to four
    times as many in one read: a read costs 8 us, a piece of a body 20. (A plain `asyncio.Protocol`
    takes up to 256 kB from the first read on.)

    Args:
        stall_timeout_s: a client that reads nothing for so long is disconnected.
        uvicorn_options: arguments of uvicorn's protocol.
    """

    _buffer = memoryview(bytearray(4 * MAX_HEAD_BYTES))

    def __init__(self, stall_timeout_s: float, **uvicorn_options: Any) -> None:
        self._protocol = BoundedHttpProtocol(stall_timeout_s, **uvicorn_options)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._protocol.connection_made(transport)  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    def get_buffer(self, _size: int) -> memoryview:
        return (
            self._buffer
            if self._protocol.body_consumed
            else self._buffer[: self._protocol.read_capacity]
        )

    def buffer_updated(self, size: int) -> None:
        self._protocol.data_received(self._buffer[:size])

    def eof_received(self) -> None:
        self._protocol.eof_received()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes the connection of a client that sends too slowly, sends too much, or does not read."""

    def __init__(self, stall_timeout_s: float, **uvicorn_options: Any) -> None:
        super().__init__(**uvicorn_options)
        self._stall_timeout_s = stall_timeout_s
        self._head_timer: asyncio.TimerHandle | None = None  # while data is expected
        self._stall_timer: asyncio.TimerHandle | None = None  # while the client has data to read
        self._unacknowledged = self._progress_at_s = (
            0.0  # unsent bytes, and when they last decreased
        )
        self._in_head = self._head_began = self._refused = False
        # Content of the body arrived; `_has_content`: since `_bytes_since_content` was last 0.
        self._has_body = self._has_content = False
        self._bytes_since_content = 0  # since the head began, or content was last consumed
        self._active_cycle: Any = None  # the cycle whose response is pending
        self._refusal_reason = ""

    @property
    def body_consumed(self) -> bool:
        """Whether the application has consumed the body received so far."""
        cycle = self.cycle
        return self._has_body and not cycle.body and not cycle.response_complete

    @property
    def read_capacity(self) -> int:
        """Bytes that the next read may take."""
        return max(MAX_HEAD_BYTES, 2 * MAX_HEAD_BYTES - self._bytes_since_content)

    # Receiving
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_head_timer()

    def data_received(self, data: bytes | memoryview) -> None:
        if self._refused:
            return
        if self._head_timer is None and (self.cycle is None or self.cycle.response_complete):
            self._start_head_timer()
        self._head_began = False
        super().data_received(data)  # type: ignore[arg-type]  # any buffer will do
        self._bytes_since_content = (
            len(data) if self._head_began else self._bytes_since_content + len(data)
        )
        if self._bytes_since_content >= MAX_HEAD_BYTES and not self._refused:
            self._check_size()

    def _check_size(self) -> None:
        """After `MAX_HEAD_BYTES`: pause until the content is consumed, or refuse what is none."""
        if self._has_content:
            self._bytes_since_content, self._has_content = 0, False
            if self.cycle.body and (self.cycle.more_body or self.pipeline):
                self.flow.pause_reading()  # until the application reads the body
        elif self._bytes_since_content > MAX_HEAD_BYTES or not self._head_began:
            what = "head of the request" if self._in_head else "framing of the body"
            self.send_400_response(f"The {what} is over {MAX_HEAD_BYTES} bytes.")

    def send_400_response(self, msg: str) -> None:
        """Refuse this request and all that follow. Earlier requests are answered first, and the
        last of these responses closes the connection."""
        msg, self._refusal_reason = self._refusal_reason or msg, ""
        self._refused = True
        cycle = self.cycle
        if cycle is not None and cycle.response_complete and cycle.more_body and not self._in_head:
            self.transport.close()  # the rest of a body whose request is answered
            return
        if cycle is not None and not cycle.response_complete:
            whole = not cycle.more_body
            if self.pipeline and not whole:
                self.pipeline.popleft()  # the newest is the refused one
                cycle, whole = (self.pipeline[0][0] if self.pipeline else self._active_cycle), True
            if whole:
                cycle.keep_alive = False
                return
            if cycle.response_started:
                self.transport.close()
                return
        super().send_400_response(msg)
        self._watch_for_stall()

    # The parser's callbacks
    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED_REQUESTS:
            raise _RequestRefused  # no cycle is created; the last waiting one closes the connection
        self._in_head = self._head_began = True
        self._has_body = self._has_content = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._check_head()
        self._stop_head_timer()
        super().on_headers_complete()
        if self.pipeline:
            self.flow.resume_reading()  # else a disconnect would go unnoticed
        self.headers = []  # trailers follow; the headers of the scope stay unchanged

    def _check_head(self) -> None:
        version = self.parser.get_http_version()
        hosts = [name for name, _ in self.headers].count(b"host")
        if version not in ("1.1", "1.0"):
            self._refusal_reason = f"This server speaks HTTP/1.1, not HTTP/{version}."
        elif hosts > 1 or (hosts == 0 and version == "1.1"):
            self._refusal_reason = f"The request has {hosts} Host fields; it must have one."
        elif len(self.headers) > MAX_HEADER_FIELDS:
            self._refusal_reason = (
                f"The head of the request has more than {MAX_HEADER_FIELDS} fields."
            )
        if self._refusal_reason:
            raise _RequestRefused

    def on_body(self, body: bytes) -> None:
        self._has_body = self._has_content = True
        super().on_body(body)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._active_cycle = cycle
        super()._start_asgi_task(cycle, app)

    # Sending
    def on_response_complete(self) -> None:
        self._active_cycle.body.clear()  # of a request that was answered before it was read
        super().on_response_complete()
        self._watch_for_stall()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_for_stall()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unacknowledged = float("inf")  # the client has read something

    def _watch_for_stall(self) -> None:
        """Start checking whether the client reads; most responses are sent at once."""
        if self._stall_timer is None and self.transport.get_write_buffer_size():
            self._unacknowledged, self._progress_at_s = (
                self._unacknowledged_bytes(),
                self.loop.time(),
            )
            self._stall_timer = self.loop.call_later(
                self._stall_timeout_s / STALL_CHECKS, self._check_stall
            )

    def _unacknowledged_bytes(self) -> int:
        """Bytes that the client has not acknowledged, here and in the kernel. The kernel accepts
        more only when a third of its buffer, 1 MB, is free again."""
        queued = bytearray(4)
        with suppress(OSError):  # closed
            fcntl.ioctl(self.transport.get_extra_info("socket"), termios.TIOCOUTQ, queued)
        here: int = self.transport.get_write_buffer_size()
        return here + int(struct.unpack("i", queued)[0])

    def _check_stall(self) -> None:
        """Disconnect a client that has read nothing for `stall_timeout_s`. Bytes are counted only
        while none are added: while writing is paused, or after the response."""
        self._stall_timer = None
        over = self.cycle is None or self.cycle.response_complete or self.transport.is_closing()
        if not self.transport.get_write_buffer_size() or not (over or self.flow.write_paused):
            return
        unread, now = self._unacknowledged_bytes(), self.loop.time()
        if unread < self._unacknowledged:
            self._unacknowledged, self._progress_at_s = unread, now
        elif now - self._progress_at_s >= self._stall_timeout_s:
            self._abort_connection()
            return
        self._stall_timer = self.loop.call_later(
            self._stall_timeout_s / STALL_CHECKS, self._check_stall
        )

    def _abort_connection(self) -> None:
        """Abort the connection and drop the kernel's send buffer, up to 4 MB held for minutes."""
        with suppress(OSError):
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        if self._stall_timer:
            self._stall_timer.cancel()
        super().connection_lost(exc)
        # uvicorn notifies only the newest request, which may wait behind the running one.
        if (running := self._active_cycle) is not None and not running.response_complete:
            running.disconnected = True
            running.message_event.set()

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.close)

    def _stop_head_timer(self) -> None:
        if self._head_timer:
            self._head_timer.cancel()
            self._head_timer = None
