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
from app.images.decode_cost import DecodeCost
from app.images.shared_file import SharedFile
from app.images.worker_process import ForkServer, Worker
from app.images.worker_protocol import Prepare, Probe, WorkerJob, encode

MB = 10**6
IDLE_TIMEOUT_S = 10.0  # idle time after which all idle workers but one end
RETRY_WINDOW_S = 0.1  # a job whose worker dies within this time is retried once
RETRY_DELAY_S = 0.05  # delay of the retry: the kernel may still be killing other workers
WALL_CLOCK_FACTOR = (
    4  # wall-clock limit as a multiple of the CPU time limit: others may use the cores, too
)
# Seconds. A heavy job that has run this long is killed if a job of another client has waited this
# long.
PREEMPTION_WAIT_S = 1.0


@dataclass(eq=False, slots=True)
class DecodeJob:
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
    cost: DecodeCost
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
        self._cores = cores or _available_cores()
        self._light, self._heavy = _FairQueue(), _FairQueue()
        self._busy: dict[Worker, DecodeJob] = {}
        self._idle: list[Worker] = []
        self._fork_server: ForkServer | None = None
        self._preemption_timer: asyncio.TimerHandle | None = None
        self._retirement_timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start the fork server, which loads the decoders, before the first job."""
        self._fork_server = ForkServer()

    def close(self) -> None:
        """Kill all processes; running jobs fail."""
        for worker in [*self._busy, *self._idle]:
            worker.kill()
        for timer in (self._preemption_timer, self._retirement_timer):
            if timer:
                timer.cancel()
        if self._fork_server:
            self._fork_server.close()

    async def run(self, decode_job: DecodeJob) -> bytes:
        """Run a job and return the reply of the worker (`app.images.worker_protocol`).

        Cancelling this call kills the worker.

        Raises:
            ImageTooLarge: the job needs more memory than the pool may use.
            UnreadableImage: the job took too long, or it crashed the worker.
            ServerBusy: the job was killed in favour of another client, or got too little CPU time.
        """
        if decode_job.cost.heavy and decode_job.cost.memory_mb > self.memory_mb:
            raise ImageTooLarge(
                f"Decoding {decode_job.name} takes {decode_job.cost.memory_mb} MB of memory; the "
                "limit "
                f"is {self.memory_mb} MB (DECODE_MEMORY_MB). Send a smaller image."
            )
        self._queue(decode_job).push(decode_job)
        self._schedule()
        try:
            return await decode_job.reply
        except asyncio.CancelledError:
            self._cancel(decode_job)
            raise

    def on_worker_event(self, worker: "Worker", reply: bytes | None, why: str) -> None:
        """Handle the end of a job: the worker replied, or it is gone (`reply` is None).

        why: for a worker that is gone, "died", "late" (wall-clock limit) or "relieved" (killed in
            favour of another client).
        """
        decode_job = self._busy.pop(worker, None)
        if reply is None and worker in self._idle:
            self._idle.remove(worker)
        if reply is not None and worker.accepts_jobs:
            self._idle.append(worker)
            self._schedule_retirement()
        if decode_job and not decode_job.reply.done():
            if reply is not None:
                decode_job.reply.set_result(reply)
            elif why == "died" and decode_job.tries == 1 and self._may_retry(decode_job):
                asyncio.get_running_loop().call_later(RETRY_DELAY_S, self._retry, decode_job)
            else:
                decode_job.reply.set_exception(self._problem(decode_job, why))
        self._schedule()

    def _retry(self, decode_job: DecodeJob) -> None:
        if not decode_job.reply.done():
            self._queue(decode_job).push(decode_job)
            self._schedule()

    def _may_retry(self, decode_job: DecodeJob) -> bool:
        """Return whether another cause than the job may have ended the worker.

        This is likely if the worker died soon, or if the fork server is gone as well. A light job
        is always retried because that costs little.
        """
        soon = asyncio.get_running_loop().time() - decode_job.since < RETRY_WINDOW_S
        alive = self._fork_server is not None and self._fork_server.alive
        return soon or not alive or not decode_job.cost.heavy

    def _queue(self, decode_job: DecodeJob) -> "_FairQueue":
        return self._heavy if decode_job.cost.heavy else self._light

    def _schedule(self) -> None:
        """Start all jobs that may run now."""
        while (queue := self._next_queue()) is not None:
            self._start_job(queue.pop())
        if self._heavy.first and self._preemption_timer is None:
            self._preemption_timer = asyncio.get_running_loop().call_later(
                PREEMPTION_WAIT_S, self._preempt
            )

    def _next_queue(self) -> "_FairQueue | None":
        """Return the queue whose first job may run now; None if there is none."""
        heavy = [one for one in self._busy.values() if one.cost.heavy]
        has_core = len(self._busy) < self._cores
        if has_core and (first := self._heavy.first):
            used_mb = sum(one.cost.memory_mb for one in heavy)
            if used_mb + first.cost.memory_mb <= self.memory_mb and not (
                heavy and self._light.first
            ):
                return self._heavy
        only_heavy = len(heavy) == len(self._busy)
        return self._light if self._light.first and (has_core or only_heavy) else None

    def _start_job(self, decode_job: DecodeJob) -> None:
        fresh = decode_job.tries > 0 or not self._idle
        worker = self._new_worker() if fresh else self._idle.pop()
        decode_job.since = asyncio.get_running_loop().time()
        decode_job.tries += 1
        self._busy[worker] = decode_job
        job = WorkerJob(decode_job.task, math.ceil(self.timeout_s), decode_job.cost.memory_mb * MB)
        worker.send(encode(job), decode_job.file.fd, WALL_CLOCK_FACTOR * self.timeout_s)

    def _new_worker(self) -> "Worker":
        if self._fork_server is None or not self._fork_server.alive:
            if self._fork_server:
                self._fork_server.close()
            self._fork_server = ForkServer()
        return Worker(self._fork_server.fork(), self.on_worker_event)

    def _problem(self, decode_job: DecodeJob, why: str) -> Problem:
        took_s = asyncio.get_running_loop().time() - decode_job.since
        # The kernel enforces the CPU time limit. A job that reaches the wall-clock limit first did
        # not get enough CPU time, which is not the fault of the file.
        if why == "late":
            return ServerBusy(
                f"The server is too busy to decode {decode_job.name} in time. Send it again.",
                retry_after_s=2 * PREEMPTION_WAIT_S,
            )
        # A job that used up its CPU time has run at least as long by the wall clock.
        if why == "died" and took_s >= self.timeout_s:
            return UnreadableImage(
                f"{decode_job.name} takes longer than {self.timeout_s:g} s to decode "
                "(DECODE_TIMEOUT_S). Send a simpler or smaller file."
            )
        if why == "relieved":
            return ServerBusy(
                f"Decoding {decode_job.name} takes long and was stopped because other clients were "
                "waiting. Send it again.",
                retry_after_s=2 * PREEMPTION_WAIT_S,
            )
        return UnreadableImage(
            f"{decode_job.name} cannot be decoded: it is damaged, or takes more than "
            f"{decode_job.cost.memory_mb} MB of memory. Send a simpler or smaller file."
        )

    def _cancel(self, decode_job: DecodeJob) -> None:
        """Remove a cancelled job from its queue, or kill its worker."""
        self._queue(decode_job).remove(decode_job)
        for worker in [worker for worker, one in self._busy.items() if one is decode_job]:
            worker.kill()

    def _preempt(self) -> None:
        """Kill a heavy job in favour of a job of another client.

        Both must have run, or waited, for `PREEMPTION_WAIT_S`. Of several candidates, one of the
        client with the most running jobs is killed, the longest-running first.
        """
        self._preemption_timer = None
        waiting, now = self._heavy.first, asyncio.get_running_loop().time()
        if waiting and now - waiting.since >= PREEMPTION_WAIT_S:
            clients = [one.client for one in self._busy.values()]
            running = {
                worker: (clients.count(one.client), now - one.since)
                for worker, one in self._busy.items()
                if one.cost.heavy
                and one.client != waiting.client
                and now - one.since >= PREEMPTION_WAIT_S
            }
            if running:
                max(running, key=running.__getitem__).kill("relieved")
        self._schedule()

    def _schedule_retirement(self) -> None:
        if self._retirement_timer is None:
            loop = asyncio.get_running_loop()
            self._retirement_timer = loop.call_later(IDLE_TIMEOUT_S, self._retire)

    def _retire(self) -> None:
        """Kill workers that were idle for `IDLE_TIMEOUT_S`; one is kept."""
        self._retirement_timer = None
        now = asyncio.get_running_loop().time()
        for worker in [one for one in self._idle[:-1] if now - one.idle_since >= IDLE_TIMEOUT_S]:
            worker.kill()
        if len(self._idle) > 1:
            self._schedule_retirement()


class _FairQueue:
    """Waiting jobs: round-robin over the clients, first in first out for each client."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[DecodeJob]] = {}

    @property
    def first(self) -> DecodeJob | None:
        return next(iter(self._queues.values()))[0] if self._queues else None

    def push(self, decode_job: DecodeJob) -> None:
        self._queues.setdefault(decode_job.client, deque()).append(decode_job)

    def pop(self) -> DecodeJob:
        client, queue = next(iter(self._queues.items()))
        decode_job = queue.popleft()
        del self._queues[client]
        if queue:
            self._queues[client] = queue  # re-inserted after the other clients
        return decode_job

    def remove(self, decode_job: DecodeJob) -> None:
        queue = self._queues.get(decode_job.client)
        if queue and decode_job in queue:
            queue.remove(decode_job)
            if not queue:
                del self._queues[decode_job.client]


def _available_cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
