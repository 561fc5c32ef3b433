"""Decoder processes: limits, termination, and the order of jobs."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest

from app.errors import ImageTooLarge, ServerBusy, UnreadableImage
from app.images import worker_pool
from app.images.decode_cost import DecodeCost
from app.images.picture import Limits, Picture
from app.images.shared_file import SharedFile
from app.images.worker_pool import DecodeJob, WorkerPool
from app.images.worker_protocol import (
    Prepare,
    Probe,
    ProbeReply,
    ProblemReply,
    decode_reply,
    pack_picture,
)
from tests.bombs.pdf import deflated, images
from tests.pictures import encoded, scene
from tests.processes import cpu_s, family, runs

LIGHT, HEAVY = DecodeCost(False, 96), DecodeCost(True, 256)
PICTURE = encoded(scene(64, 64), "WEBP")
# A PDF that takes minutes to render.
GRAY = b"/Width 4000/Height 4000/BitsPerComponent 8/ColorSpace/DeviceGray/Filter/FlateDecode"
LONG = images(GRAY, deflated(1, 16 * 10**6), 30_000)
PAGE = Picture(b"", 0, 1, 400, 400)
Pool = Callable[..., WorkerPool]


def job(data: bytes, cost: DecodeCost = LIGHT, client: str = "") -> DecodeJob:
    long = Prepare(pack_picture(PAGE), (1000, 1000))
    task = long if data is LONG else Probe(0, Limits(50), None)
    return DecodeJob(task, SharedFile.from_bytes(data), "image[0]", client, cost)


@pytest.fixture
async def pool(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pool]:
    monkeypatch.setattr(worker_pool, "WALL_CLOCK_FACTOR", 200)  # a busy machine gives little CPU
    made: list[WorkerPool] = []

    def make(timeout_s: float = 60, memory_mb: int = 768, cores: int = 1) -> WorkerPool:
        made.append(WorkerPool(timeout_s, memory_mb, cores))
        return made[-1]

    yield make
    for one in made:
        one.close()


async def until(what: Callable[[], bool]) -> None:
    """Wait until the condition is true.

    Raises:
        TimeoutError: it is still false after 120 s.
    """
    async with asyncio.timeout(120):
        while not what():  # noqa: ASYNC110 - the kernel sends no event
            await asyncio.sleep(0.02)


def processes(pool: WorkerPool) -> list[int]:
    """Return the process ids of a pool: the fork server and its workers."""
    server = pool._fork_server
    return family(server._process.pid) if server and server.alive else []


def still(pids: list[int]) -> bool:
    """Return whether processes use no CPU time any more."""
    before = sum(map(cpu_s, pids))
    time.sleep(0.3)
    return sum(map(cpu_s, pids)) - before < 0.005  # a busy machine may leave them little


async def test_a_reply(pool: Pool) -> None:
    reply = decode_reply(await pool().run(job(PICTURE)))
    assert isinstance(reply, ProbeReply)
    assert len(reply.pictures) == 1


async def test_one_process_takes_one_job_after_another(pool: Pool) -> None:
    one = pool()
    for _ in range(3):
        await one.run(job(PICTURE))
    assert len(processes(one)) == 2  # the worker and the fork server


async def test_a_job_ends_when_its_time_is_over(pool: Pool) -> None:
    one = pool(timeout_s=0.5)
    with pytest.raises(UnreadableImage, match=r"longer than 0\.5 s .* \(DECODE_TIMEOUT_S\)"):
        await one.run(job(LONG, HEAVY))
    await until(lambda: still(processes(one)))
    await one.run(job(PICTURE))


async def test_a_job_that_gets_no_cpu_is_not_to_blame(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_pool, "WALL_CLOCK_FACTOR", 0.01)
    with pytest.raises(ServerBusy, match="too busy"):
        await pool(timeout_s=5).run(job(LONG, HEAVY))


async def test_a_job_ends_when_nobody_waits_for_it(pool: Pool) -> None:
    one = pool()
    waiting = asyncio.ensure_future(one.run(job(LONG, HEAVY)))
    await until(lambda: not still(processes(one)))
    waiting.cancel()
    await until(lambda: still(processes(one)))
    await one.run(job(PICTURE))


async def test_a_job_that_waits_is_forgotten_when_nobody_waits_for_it(pool: Pool) -> None:
    one = pool()
    running = asyncio.ensure_future(one.run(job(LONG, HEAVY)))
    waiting = asyncio.ensure_future(one.run(job(LONG, HEAVY)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    running.cancel()
    async with asyncio.timeout(30):  # the removed job would take a minute
        await one.run(job(PICTURE, HEAVY))


async def test_memory_is_limited(pool: Pool) -> None:
    """Python raises MemoryError, or the decoder crashes."""
    one = pool()
    with suppress(UnreadableImage):
        assert isinstance(decode_reply(await one.run(job(LONG, DecodeCost(True, 1)))), ProblemReply)
    assert isinstance(decode_reply(await one.run(job(PICTURE))), ProbeReply)


async def test_a_job_that_needs_more_than_all_have_is_refused(pool: Pool) -> None:
    with pytest.raises(ImageTooLarge, match=r"900 MB .* limit is 768 MB \(DECODE_MEMORY_MB\)"):
        await pool().run(job(PICTURE, DecodeCost(True, 900)))


async def test_a_light_job_does_not_wait_for_heavy_ones(pool: Pool) -> None:
    one = pool(cores=2)
    heavy = [asyncio.ensure_future(one.run(job(LONG, HEAVY))) for _ in range(4)]
    await asyncio.sleep(0)
    await one.run(job(PICTURE))
    assert not any(one.done() for one in heavy)
    for each in heavy:
        each.cancel()


async def test_clients_take_turns(pool: Pool) -> None:
    one = pool()
    order: list[str] = []

    async def ask(client: str) -> None:
        await one.run(job(PICTURE, HEAVY, client))
        order.append(client)

    await asyncio.gather(*map(ask, ["a", "a", "a", "b", "c"]))
    assert order in (["a", "a", "b", "c", "a"], ["a", "b", "c", "a", "a"])


async def test_a_long_job_is_ended_for_another_client(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_pool, "PREEMPTION_WAIT_S", 0.2)
    one = pool()
    long = asyncio.ensure_future(one.run(job(LONG, HEAVY, "a")))
    await asyncio.sleep(0)
    await one.run(job(PICTURE, HEAVY, "b"))
    with pytest.raises(ServerBusy) as refused:
        await long
    assert refused.value.headers()["Retry-After"]


async def test_a_long_job_is_not_ended_for_the_same_client(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_pool, "PREEMPTION_WAIT_S", 0.1)
    one = pool(timeout_s=1)
    long = asyncio.ensure_future(one.run(job(LONG, HEAVY, "a")))
    await asyncio.sleep(0)
    await one.run(job(PICTURE, HEAVY, "a"))
    with pytest.raises(UnreadableImage, match="longer than 1 s"):
        await long


async def test_a_worker_that_is_killed_ends_its_job(pool: Pool) -> None:
    one = pool()
    waiting = asyncio.ensure_future(one.run(job(LONG, HEAVY)))
    await until(lambda: len(processes(one)) == 2 and not still(processes(one)))
    os.kill(max(processes(one)), signal.SIGKILL)
    with pytest.raises(UnreadableImage, match="damaged, or takes more than 256 MB"):
        await waiting
    await one.run(job(PICTURE))


async def test_all_processes_killed_between_jobs(pool: Pool) -> None:
    one = pool()
    await one.run(job(PICTURE))
    for pid in processes(one):
        os.kill(pid, signal.SIGKILL)
    await one.run(job(PICTURE))


async def test_all_processes_killed_during_a_job(pool: Pool) -> None:
    """The job is retried because it is not the cause."""
    one = pool(timeout_s=2)
    waiting = asyncio.ensure_future(one.run(job(LONG, HEAVY)))
    await until(lambda: len(processes(one)) == 2 and not still(processes(one)))
    for pid in sorted(processes(one)):
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(UnreadableImage, match="longer than 2 s"):
        await waiting


async def test_close_ends_every_process(pool: Pool) -> None:
    one = pool(cores=2)
    waiting = [asyncio.ensure_future(one.run(job(LONG, HEAVY))) for _ in range(2)]
    await until(lambda: len(processes(one)) == 3)
    started = processes(one)
    one.close()
    await until(lambda: not any(map(runs, started)))
    for each in waiting:
        with pytest.raises(UnreadableImage):
            await each
