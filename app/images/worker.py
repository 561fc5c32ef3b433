"""Program of the fork server and of the worker processes that decode files of clients.

`python -m app.images.worker FD` is the fork server. It loads the decoders and forks a worker for
each socket that it receives on its control socket FD; it never reads a file itself. A worker
processes one job after another from its socket. The server ends a worker by closing the other end
of the socket, which works at any moment, also while the worker runs native code.
"""

import contextlib
import ctypes
import errno
import fcntl
import gc
import math
import os
import resource
import select
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from PIL import AvifImagePlugin

from app.errors import ImageTooLarge, Problem
from app.images.decode import prepare
from app.images.probe import probe
from app.images.shared_file import SharedFile
from app.images.worker_protocol import (
    WORKER_CONTINUES,
    WORKER_EXITS,
    ErrorReply,
    Prepare,
    PrepareReply,
    Probe,
    ProbeReply,
    ProblemReply,
    Reply,
    WorkerJob,
    decode_job,
    encode,
    pack_picture,
    unpack_picture,
)

MAX_JOB_BYTES = 65_536  # bytes
NICE = 10  # the server's own niceness is 0: it keeps streaming answers while photos are decoded
MAX_DESCRIPTORS = 64
IDLE_S = 1.0  # idle time after which a worker returns free memory to the system
# Bytes. A worker that retains more memory after a job is replaced.
MAX_RETAINED_BYTES = 96 * 2**20
PAGE = resource.getpagesize()


def main() -> None:
    """Fork a worker for each socket until the control socket is closed."""
    # The server ends this process when it no longer needs it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no exit status is read: avoid zombies
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    control = socket.socket(fileno=int(sys.argv[1]))
    gc.collect()
    gc.freeze()
    while True:
        message, received, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        if os.fork() == 0:
            control.close()
            _serve_jobs(socket.socket(fileno=received[0]))
            os._exit(0)
        os.close(received[0])


def _serve_jobs(server: socket.socket) -> None:
    """Process jobs until the server closes the socket."""
    signal.signal(signal.SIGIO, signal.SIG_DFL)  # the default action ends the process
    fcntl.fcntl(server, fcntl.F_SETOWN, os.getpid())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_DESCRIPTORS, MAX_DESCRIPTORS))
    with contextlib.suppress(OSError):
        os.nice(NICE)
    fresh = _memory_sizes()[1]
    more = WORKER_CONTINUES
    while more == WORKER_CONTINUES:
        if not select.select([server], [], [], IDLE_S)[0]:
            _trim_memory()
        message, received, _, _ = socket.recv_fds(server, MAX_JOB_BYTES, 1)
        if not message:
            return
        file = SharedFile(received[0])
        job = decode_job(message)
        with _with_limits(server, job):
            reply = _run_task(job.task, file)
        del file
        out = SharedFile.from_bytes(encode(reply))
        del reply
        more = WORKER_CONTINUES if _memory_sizes()[1] < fresh + MAX_RETAINED_BYTES else WORKER_EXITS
        socket.send_fds(server, [more], [out.fd])


@contextlib.contextmanager
def _with_limits(server: socket.socket, job: WorkerJob) -> Iterator[None]:
    """Apply the job's limits in the block; end the process if the server closes the socket."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = math.ceil(used.ru_utime + used.ru_stime) + job.cpu_s
    flags = fcntl.fcntl(server, fcntl.F_GETFL)
    fcntl.fcntl(server, fcntl.F_SETFL, flags | os.O_ASYNC)  # SIGIO when it is closed
    if select.select([server], [], [], 0)[0]:  # it was closed before
        os._exit(0)
    _set_soft_limit(resource.RLIMIT_CPU, cpu_s)
    if sys.platform == "linux":
        _set_soft_limit(resource.RLIMIT_AS, _memory_sizes()[0] + job.memory_bytes)
    try:
        yield
    finally:
        _set_soft_limit(resource.RLIMIT_AS, resource.RLIM_INFINITY)
        _set_soft_limit(
            resource.RLIMIT_CPU, resource.RLIM_INFINITY
        )  # CPU time between jobs is not limited
        fcntl.fcntl(server, fcntl.F_SETFL, flags)


def _set_soft_limit(what: int, most: int) -> None:
    """Set the soft limit of a resource, which can be raised again."""
    hard = resource.getrlimit(what)[1]
    resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _run_task(task: Probe | Prepare, file: SharedFile) -> Reply:
    try:
        match task:
            case Probe():
                found = probe(file, task.index, task.limits, task.pages)
                return ProbeReply([pack_picture(picture) for picture in found])
            case Prepare():
                made = prepare(unpack_picture(task.picture, file), task.size, task.pad)
                return PrepareReply(made.base64, made.warnings)
    except Problem as problem:
        return ProblemReply(type(problem).__name__, problem.detail, problem.extra)
    except Exception as error:  # a bug, which the server logs
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
            detail = "Decoding an image takes too much memory. Send a smaller image."
            return ProblemReply(ImageTooLarge.__name__, detail, {})
        return ErrorReply(traceback.format_exc())


def _trim_memory() -> None:
    """Return the free memory that malloc keeps to the system."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # the C library is not glibc
            ctypes.CDLL(None).malloc_trim(0)


def _memory_sizes() -> tuple[int, int]:
    """Return the bytes of address space and of resident memory; zeros outside Linux."""
    if sys.platform != "linux":
        return 0, 0
    pages = Path("/proc/self/statm").read_text().split()
    return int(pages[0]) * PAGE, int(pages[1]) * PAGE


if __name__ == "__main__":
    main()
