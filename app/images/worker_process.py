"""A decoder process, and the one that it is forked from, as the server holds them."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from app.images.worker_protocol import GOES_ON

ROOT = Path(__file__).parents[2]
MOST_REPLY = 256 * 10**6  # bytes; the text of a long document is the largest
# Of the server's environment: a decoder needs no keys.
ENVIRONMENT = ("PATH", "LANG", "LD_LIBRARY_PATH", "COVERAGE_PROCESS_START")
# Buffers of a photo come out of the heap (mallopt(3)): pages of their own for each are 12 % of what
# a photo costs. What is kept of them is given back when the worker has nothing to do.
MALLOC = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "67108864",
}


class Worker:
    """One process, by its socket. `since`: when it last replied; `goes_on`: it takes more jobs."""

    def __init__(
        self, connection: socket.socket, ended: Callable[["Worker", bytes | None, str], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = connection
        self._ended = ended
        self._timer: asyncio.TimerHandle | None = None
        self.since = 0.0
        self.goes_on = True
        self._loop.add_reader(connection.fileno(), self._read)

    def send(self, message: bytes, fd: int, timeout_s: float) -> None:
        self._timer = self._loop.call_later(timeout_s, self.kill, "late")
        with suppress(OSError):  # it is gone; reading will tell
            socket.send_fds(self._socket, [message], [fd])

    def kill(self, why: str = "died") -> None:
        """End the process, whatever it does: it has no other end than this socket's."""
        if self._socket.fileno() < 0:
            return
        self._stop_timer()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self._ended(self, None, why)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _read(self) -> None:
        try:
            last, received, _, _ = socket.recv_fds(self._socket, 1, 1)
        except OSError:
            last, received = b"", []
        reply = _contents(received[0]) if received else None
        if reply is None:
            self.kill()
            return
        self._stop_timer()
        self.since = self._loop.time()
        self.goes_on = last == GOES_ON
        self._ended(self, reply, "")


class ForkServer:
    """The process that has loaded the decoders, and is forked for each worker."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._control.setblocking(False)
        environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "app.images.worker", str(theirs.fileno())],
                env={**environment, **MALLOC, "PYTHONPATH": str(ROOT)},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def fork(self) -> socket.socket:
        """A socket to a new worker, which may still have to start."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs, suppress(OSError):  # where it is gone, reading from `ours` tells
            socket.send_fds(self._control, [b"\0"], [theirs.fileno()])
        return ours

    def close(self) -> None:
        self._control.close()
        self._process.kill()
        self._process.wait()


def _contents(fd: int) -> bytes | None:
    """What a worker wrote; None where it is too much. Read, not mapped: a worker could still cut
    the file."""
    try:
        size = os.fstat(fd).st_size
        return os.pread(fd, size, 0) if size <= MOST_REPLY else None
    finally:
        os.close(fd)
