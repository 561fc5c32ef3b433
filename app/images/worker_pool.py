"""Schedules decoder jobs on a pool of worker processes.

No file blocks other clients for long. A job is killed with its process when its time limit
expires, when its client disconnects, or when it has run for a second while a job of another client
waits.
"""

import asyncio
import math
import os
import sys
from collections import deque
from dataclasses import dataclass, field

from app.errors import ImageTooLarge, Problem, ServerBusy, UnreadableImage
from app.images.decode_cost import Cost
from app.images.shared_file import SharedFile
from app.images.worker_process import ForkServer, Worker
from app.images.worker_protocol import Job, Prepare, Probe, encode

MB = 10**6
IDLE_S = 10.0  # idle time after which all idle workers but one end
SOON_S = 0.1  # a job whose worker dies within this time is retried once
AGAIN_S = 0.05  # delay of the retry: the kernel may still be killing other workers
WALL = 4  # wall-clock limit as a multiple of the CPU time limit: others may use the cores, too
# Seconds. A heavy job that has run this long is killed if a job of another client has waited this
# long.
PATIENCE_S = 1.0


@dataclass(eq=False, slots=True)
class Decoding:
    """One job of a request.

    name: of the file, for messages.
    client: identifies the client, for fair queueing.
    reply: the worker's reply, or the problem with which the job failed.
    since: loop time at which the job was queued, or was started.
    tries: number of times that it was started.
    """

    task: Probe | Prepare
    file: SharedFile
    name: str
    client: str
    cost: Cost
    reply: asyncio.Future[bytes] = field(init=False)
    since: float = field(init=False)
    tries: int = 0

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.reply = loop.create_future()
        self.since = loop.time()


class WorkerPool:
    """Runs jobs in child processes. Close it with `close`.

    As many jobs run as there are cores; if all of them are heavy, one light job may run in
    addition. Clients are served in turn.

    Args:
        timeout_s: CPU time limit of one job (seconds).
        memory_mb: memory limit of all heavy jobs together (10^6 bytes).
        cores: number of jobs at the same time; default: the CPUs of this process.
    """

    def __init__(self, timeout_s: float, memory_mb: int, cores: int | None = None) -> None:
        self.timeout_s = timeout_s
        self.memory_mb = memory_mb
        self._cores = cores or _cores()
        self._light, self._heavy = _FairQueue(), _FairQueue()
        self._busy: dict[Worker, Decoding] = {}
        self._idle: list[Worker] = []
        self._fork_server: ForkServer | None = None
        self._relief: asyncio.TimerHandle | None = None
        self._retirement: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start the fork server, which loads the decoders, before the first job."""
        self._fork_server = ForkServer()

    def close(self) -> None:
        """Kill all processes; running jobs fail."""
        for worker in [*self._busy, *self._idle]:
            worker.kill()
        for timer in (self._relief, self._retirement):
            if timer:
                timer.cancel()
        if self._fork_server:
            self._fork_server.close()

    async def run(self, decoding: Decoding) -> bytes:
        """Run a job and return the reply of the worker (`app.images.worker_protocol`).

        Cancelling this call kills the worker.

        Raises:
            ImageTooLarge: the job needs more memory than the pool may use.
            UnreadableImage: the job took too long, or it crashed the worker.
            ServerBusy: the job was killed in favour of another client, or got too little CPU time.
        """
        if decoding.cost.heavy and decoding.cost.memory_mb > self.memory_mb:
            raise ImageTooLarge(
                f"Decoding {decoding.name} takes {decoding.cost.memory_mb} MB of memory; the limit "
                f"is {self.memory_mb} MB (DECODE_MEMORY_MB). Send a smaller image."
            )
        self._queue(decoding).push(decoding)
        self._schedule()
        try:
            return await decoding.reply
        except asyncio.CancelledError:
            self._drop(decoding)
            raise

    def ended(self, worker: "Worker", reply: bytes | None, why: str) -> None:
        """Handle the end of a job: the worker replied, or it is gone (`reply` is None).

        why: for a worker that is gone, "died", "late" (wall-clock limit) or "relieved" (killed in
            favour of another client).
        """
        decoding = self._busy.pop(worker, None)
        if reply is None and worker in self._idle:
            self._idle.remove(worker)
        if reply is not None and worker.goes_on:
            self._idle.append(worker)
            self._retire_later()
        if decoding and not decoding.reply.done():
            if reply is not None:
                decoding.reply.set_result(reply)
            elif why == "died" and decoding.tries == 1 and self._innocent(decoding):
                asyncio.get_running_loop().call_later(AGAIN_S, self._again, decoding)
            else:
                decoding.reply.set_exception(self._problem(decoding, why))
        self._schedule()

    def _again(self, decoding: Decoding) -> None:
        if not decoding.reply.done():
            self._queue(decoding).push(decoding)
            self._schedule()

    def _innocent(self, decoding: Decoding) -> bool:
        """Return whether another cause than the job may have ended the worker.

        This is likely if the worker died soon, or if the fork server is gone as well. A light job
        is always retried because that costs little.
        """
        soon = asyncio.get_running_loop().time() - decoding.since < SOON_S
        alive = self._fork_server is not None and self._fork_server.alive
        return soon or not alive or not decoding.cost.heavy

    def _queue(self, decoding: Decoding) -> "_FairQueue":
        return self._heavy if decoding.cost.heavy else self._light

    def _schedule(self) -> None:
        """Start all jobs that may run now."""
        while (queue := self._next()) is not None:
            self._begin(queue.pop())
        if self._heavy.first and self._relief is None:
            self._relief = asyncio.get_running_loop().call_later(PATIENCE_S, self._relieve)

    def _next(self) -> "_FairQueue | None":
        """Return the queue whose first job may run now; None if there is none."""
        heavy = [one for one in self._busy.values() if one.cost.heavy]
        place = len(self._busy) < self._cores
        if place and (first := self._heavy.first):
            used_mb = sum(one.cost.memory_mb for one in heavy)
            if used_mb + first.cost.memory_mb <= self.memory_mb and not (
                heavy and self._light.first
            ):
                return self._heavy
        only_heavy = len(heavy) == len(self._busy)
        return self._light if self._light.first and (place or only_heavy) else None

    def _begin(self, decoding: Decoding) -> None:
        fresh = decoding.tries > 0 or not self._idle
        worker = self._new_worker() if fresh else self._idle.pop()
        decoding.since = asyncio.get_running_loop().time()
        decoding.tries += 1
        self._busy[worker] = decoding
        job = Job(decoding.task, math.ceil(self.timeout_s), decoding.cost.memory_mb * MB)
        worker.send(encode(job), decoding.file.fd, WALL * self.timeout_s)

    def _new_worker(self) -> "Worker":
        if self._fork_server is None or not self._fork_server.alive:
            if self._fork_server:
                self._fork_server.close()
            self._fork_server = ForkServer()
        return Worker(self._fork_server.fork(), self.ended)

    def _problem(self, decoding: Decoding, why: str) -> Problem:
        took_s = asyncio.get_running_loop().time() - decoding.since
        # The kernel enforces the CPU time limit. A job that reaches the wall-clock limit first did
        # not get enough CPU time, which is not the fault of the file.
        if why == "late":
            return ServerBusy(
                f"The server is too busy to decode {decoding.name} in time. Send it again.",
                retry_after_s=2 * PATIENCE_S,
            )
        # A job that used up its CPU time has run at least as long by the wall clock.
        if why == "died" and took_s >= self.timeout_s:
            return UnreadableImage(
                f"{decoding.name} takes longer than {self.timeout_s:g} s to decode "
                "(DECODE_TIMEOUT_S). Send a simpler or smaller file."
            )
        if why == "relieved":
            return ServerBusy(
                f"Decoding {decoding.name} takes long and was stopped because other clients were "
                "waiting. Send it again.",
                retry_after_s=2 * PATIENCE_S,
            )
        return UnreadableImage(
            f"{decoding.name} cannot be decoded: it is damaged, or takes more than "
            f"{decoding.cost.memory_mb} MB of memory. Send a simpler or smaller file."
        )

    def _drop(self, decoding: Decoding) -> None:
        """Remove a cancelled job from its queue, or kill its worker."""
        self._queue(decoding).remove(decoding)
        for worker in [worker for worker, one in self._busy.items() if one is decoding]:
            worker.kill()

    def _relieve(self) -> None:
        """Kill a heavy job in favour of a job of another client.

        Both must have run, or waited, for `PATIENCE_S`. Of several candidates, one of the client
        with the most running jobs is killed, the longest-running first.
        """
        self._relief = None
        waiting, now = self._heavy.first, asyncio.get_running_loop().time()
        if waiting and now - waiting.since >= PATIENCE_S:
            clients = [one.client for one in self._busy.values()]
            running = {
                worker: (clients.count(one.client), now - one.since)
                for worker, one in self._busy.items()
                if one.cost.heavy and one.client != waiting.client and now - one.since >= PATIENCE_S
            }
            if running:
                max(running, key=running.__getitem__).kill("relieved")
        self._schedule()

    def _retire_later(self) -> None:
        if self._retirement is None:
            loop = asyncio.get_running_loop()
            self._retirement = loop.call_later(IDLE_S, self._retire)

    def _retire(self) -> None:
        """Kill workers that were idle for `IDLE_S`; one is kept."""
        self._retirement = None
        now = asyncio.get_running_loop().time()
        for worker in [one for one in self._idle[:-1] if now - one.since >= IDLE_S]:
            worker.kill()
        if len(self._idle) > 1:
            self._retire_later()


class _FairQueue:
    """Waiting jobs: round-robin over the clients, first in first out for each client."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[Decoding]] = {}

    @property
    def first(self) -> Decoding | None:
        return next(iter(self._lines.values()))[0] if self._lines else None

    def push(self, decoding: Decoding) -> None:
        self._lines.setdefault(decoding.client, deque()).append(decoding)

    def pop(self) -> Decoding:
        client, line = next(iter(self._lines.items()))
        decoding = line.popleft()
        del self._lines[client]
        if line:
            self._lines[client] = line  # re-inserted after the other clients
        return decoding

    def remove(self, decoding: Decoding) -> None:
        line = self._lines.get(decoding.client)
        if line and decoding in line:
            line.remove(decoding)
            if not line:
                del self._lines[decoding.client]


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
