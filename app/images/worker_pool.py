"""Decoder processes, and which job runs next in them.

No file makes another client wait: a job is killed with its process when its time is over, when
its client leaves, or when it has run for a second and another client waits for its place.
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
IDLE_S = 10.0  # after which all idle workers but one end
SOON_S = 0.1  # within which a job is begun again where its worker dies
AGAIN_S = 0.05  # after which that is: the kernel may still be ending the others
WALL = 4  # a job's time by the clock, in times of its CPU time: others may use the cores, too
PATIENCE_S = 1.0  # that another client's job waits before one that runs as long is ended for it


@dataclass(eq=False, slots=True)
class Decoding:
    """One job of a request.

    name: of the file, for messages.
    since: it waits, or runs.
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

    As many run as there are cores, and one light job more where all of those are heavy. Clients
    take turns.

    Args:
        timeout_s: CPU time of one job.
        memory_mb: of all heavy jobs together (10^6 bytes).
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
        """Load the decoders now, not with the first job."""
        self._fork_server = ForkServer()

    def close(self) -> None:
        """End all processes; jobs that still run fail."""
        for worker in [*self._busy, *self._idle]:
            worker.kill()
        for timer in (self._relief, self._retirement):
            if timer:
                timer.cancel()
        if self._fork_server:
            self._fork_server.close()

    async def run(self, decoding: Decoding) -> bytes:
        """The reply of a worker (`app.images.worker_protocol`). Cancelling this ends the worker.

        Raises:
            ImageTooLarge: the job takes more memory than all may take.
            UnreadableImage: it took too long, or the worker died of it.
            ServerBusy: it was ended in favour of another client's, or got too little of the CPU.
        """
        if decoding.cost.heavy and decoding.cost.memory_mb > self.memory_mb:
            raise ImageTooLarge(
                f"{decoding.name} takes {decoding.cost.memory_mb} MB of memory to decode; at most "
                f"{self.memory_mb} are given (DECODE_MEMORY_MB). Shrink it."
            )
        self._queue(decoding).push(decoding)
        self._schedule()
        try:
            return await decoding.reply
        except asyncio.CancelledError:
            self._drop(decoding)
            raise

    def ended(self, worker: "Worker", reply: bytes | None, why: str) -> None:
        """A worker has replied; where `reply` is None, it is gone."""
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
        """Whether the worker may have died of something else: at once, or with all of them. A
        light job costs little to be begun again in any case."""
        soon = asyncio.get_running_loop().time() - decoding.since < SOON_S
        alive = self._fork_server is not None and self._fork_server.alive
        return soon or not alive or not decoding.cost.heavy

    def _queue(self, decoding: Decoding) -> "_FairQueue":
        return self._heavy if decoding.cost.heavy else self._light

    def _schedule(self) -> None:
        """Start what may run."""
        while (queue := self._next()) is not None:
            self._begin(queue.pop())
        if self._heavy.first and self._relief is None:
            self._relief = asyncio.get_running_loop().call_later(PATIENCE_S, self._relieve)

    def _next(self) -> "_FairQueue | None":
        """The queue whose first job may run now."""
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
        # The kernel ends a job for its CPU time. One that did not get so much is not at fault.
        if why == "late":
            return ServerBusy(
                f"This machine is too busy to decode {decoding.name} in time. Send it again.",
                retry_after_s=2 * PATIENCE_S,
            )
        # One that the kernel has ended has run as long by the clock at least.
        if why == "died" and took_s >= self.timeout_s:
            return UnreadableImage(
                f"{decoding.name} takes longer than {self.timeout_s:g} s to decode "
                "(DECODE_TIMEOUT_S). Send it simpler or smaller."
            )
        if why == "relieved":
            return ServerBusy(
                f"{decoding.name} takes long to decode, and others wait. Send it again.",
                retry_after_s=2 * PATIENCE_S,
            )
        return UnreadableImage(
            f"{decoding.name} cannot be decoded: it is damaged, or takes more than "
            f"{decoding.cost.memory_mb} MB of memory. Send it simpler or smaller."
        )

    def _drop(self, decoding: Decoding) -> None:
        """Nobody waits for it any more."""
        self._queue(decoding).remove(decoding)
        for worker in [worker for worker, one in self._busy.items() if one is decoding]:
            worker.kill()

    def _relieve(self) -> None:
        """End a heavy job in favour of another client's that has waited for as long."""
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
        """End workers that were not needed for a while; one is kept."""
        self._retirement = None
        now = asyncio.get_running_loop().time()
        for worker in [one for one in self._idle[:-1] if now - one.since >= IDLE_S]:
            worker.kill()
        if len(self._idle) > 1:
            self._retire_later()


class _FairQueue:
    """Jobs that wait; clients take turns, those of one client keep their order."""

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
            self._lines[client] = line  # behind the others
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
