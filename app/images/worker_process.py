"""The server's handles of a decoder process and of the fork server."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from app.images.worker_protocol import WORKER_CONTINUES

ROOT = Path(__file__).parents[2]
MAX_REPLY_BYTES = 256 * 10**6  # bytes; the text of a long document is the largest
# Variables that are inherited from the server's environment; a decoder needs no API keys.
PASSED_VARIABLES = ("PATH", "LANG", "LD_LIBRARY_PATH", "COVERAGE_PROCESS_START")
# A photo's buffers are allocated on the heap (mallopt(3)): a mapping for each of them takes 12 % of
# the time of a photo. A worker returns free heap memory to the system when it is idle.
MALLOC_VARIABLES = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "67108864",
}


class Worker:
    """A worker process, controlled through its socket.

    idle_since: loop time of its last reply.
    accepts_jobs: it takes more jobs.

    Args:
        connection: a non-blocking socket to the worker.
        on_event: called with this worker, its reply (None if it is gone), and the reason.
    """

    def __init__(
        self, connection: socket.socket, on_event: Callable[["Worker", bytes | None, str], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = connection
        self._on_event = on_event
        self._timer: asyncio.TimerHandle | None = None
        self.idle_since = 0.0
        self.accepts_jobs = True
        self._loop.add_reader(connection.fileno(), self._read)

    def send(self, message: bytes, fd: int, timeout_s: float) -> None:
        """Send a job and its file's descriptor; kill the worker after `timeout_s` of wall time."""
        self._timer = self._loop.call_later(timeout_s, self.kill, "late")
        with suppress(OSError):  # it is gone; `_read` handles that
            socket.send_fds(self._socket, [message], [fd])

    def kill(self, why: str = "died") -> None:
        """End the process: it exits at once when this socket is closed."""
        if self._socket.fileno() < 0:
            return
        self._stop_timer()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self._on_event(self, None, why)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _read(self) -> None:
        try:
            last, received, _, _ = socket.recv_fds(self._socket, 1, 1)
        except OSError:
            last, received = b"", []
        reply = _read_reply(received[0]) if received else None
        if reply is None:
            self.kill()
            return
        self._stop_timer()
        self.idle_since = self._loop.time()
        self.accepts_jobs = last == WORKER_CONTINUES
        self._on_event(self, reply, "")


class ForkServer:
    """The process that loads the decoders once and is forked for each worker."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._control.setblocking(False)
        environment = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "app.images.worker", str(theirs.fileno())],
                env={**environment, **MALLOC_VARIABLES, "PYTHONPATH": str(ROOT)},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def fork(self) -> socket.socket:
        """Request a new worker and return the socket to it; the worker may not run yet."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs, suppress(OSError):  # if it is gone, reading from `ours` fails
            socket.send_fds(self._control, [b"\0"], [theirs.fileno()])
        return ours

    def close(self) -> None:
        """Kill the process; its workers keep running."""
        self._control.close()
        self._process.kill()
        self._process.wait()


def _read_reply(fd: int) -> bytes | None:
    """Read a worker's reply; None if it is too large.

    The file is read and not mapped because a worker could truncate it later.
    """
    try:
        size = os.fstat(fd).st_size
        return os.pread(fd, size, 0) if size <= MAX_REPLY_BYTES else None
    finally:
        os.close(fd)
