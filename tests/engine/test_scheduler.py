"""Slots, the queue, and refused requests."""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass

import pytest

from app.engine.scheduler import QueuePosition, Scheduler, Ticket
from app.errors import DeadlineExceeded, QueueFull


@dataclass
class Clock:
    """A fake clock, in seconds."""

    now_s: float = 1000.0


async def through(
    scheduler: Scheduler,
    client: str = "",
    takes_s: float = 0.01,
    until: asyncio.Event | None = None,
) -> float:
    """One request that takes `takes_s` seconds, or lasts until `until` is set. Returns the
    milliseconds that it waited."""
    with scheduler.enqueue(client) as ticket:
        async for _ in scheduler.positions(ticket):
            pass
        await (until.wait() if until else asyncio.sleep(takes_s))
        return ticket.waited_ms


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """The clock of the scheduler, which tests advance."""
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now_s)
    yield clock


def taught(clock: Clock, slots: int, max_queue: int, service_s: float) -> Scheduler:
    """A scheduler that has measured the service time `service_s`."""
    scheduler = Scheduler(slots, max_queue)
    for _ in range(50):  # so that the initial guess no longer counts
        with scheduler.enqueue():
            clock.now_s += service_s
    return scheduler


async def test_as_many_run_as_there_are_slots() -> None:
    scheduler = Scheduler(2, 10)
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, scheduler.running)
            await asyncio.sleep(0.001)

    watcher = asyncio.create_task(watch())
    await asyncio.gather(*(through(scheduler) for _ in range(8)))
    watcher.cancel()
    assert most == 2
    assert (scheduler.running, scheduler.waiting) == (0, 0)


async def test_who_waits_is_told_how_long_it_was() -> None:
    scheduler = Scheduler(1, 1)
    first, second = await asyncio.gather(through(scheduler, takes_s=0.05), through(scheduler))
    assert first < second
    assert second > 40


async def test_a_full_line_refuses_with_the_time_it_takes() -> None:
    scheduler = Scheduler(1, 1)
    running = asyncio.create_task(through(scheduler, takes_s=60))
    waiting = asyncio.create_task(through(scheduler))
    await asyncio.sleep(0.01)
    with pytest.raises(QueueFull) as refused:
        await through(scheduler)
    assert refused.value.headers() == {"Retry-After": "10"}  # two requests ahead at a guess of 5 s
    for task in (waiting, running):
        task.cancel()
    await asyncio.gather(running, waiting, return_exceptions=True)
    assert (scheduler.running, scheduler.waiting) == (0, 0)


async def test_no_line_still_has_its_slots() -> None:
    await through(Scheduler(1, 0))


async def test_what_cannot_be_met_is_refused_at_once(clock: Clock) -> None:
    """It is refused without a wait: the other requests end only afterwards."""
    scheduler = taught(clock, 1, 10, 0.1)
    ended = asyncio.Event()
    tasks = [asyncio.create_task(through(scheduler, until=ended)) for _ in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(DeadlineExceeded, match="3 request"), scheduler.enqueue(max_wait_s=0.2):
        pass
    ended.set()
    with scheduler.enqueue(max_wait_s=5) as ticket:
        async for _ in scheduler.positions(ticket):
            pass
    await asyncio.gather(*tasks)


async def test_places_are_told_when_they_change(clock: Clock) -> None:
    scheduler = taught(clock, 1, 10, 0.05)

    async def one() -> None:
        with scheduler.enqueue() as ticket:
            async for _ in scheduler.positions(ticket):
                pass
            await asyncio.sleep(0)
            clock.now_s += 0.05

    tasks = [asyncio.create_task(one()) for _ in range(3)]
    await asyncio.sleep(0)
    with scheduler.enqueue() as ticket:
        places = [queue_position async for queue_position in scheduler.positions(ticket)]
    assert [queue_position.position for queue_position in places] == [3, 2, 1]
    assert [queue_position.eta_ms for queue_position in places] == pytest.approx(
        [150, 100, 50], rel=0.01
    )
    await asyncio.gather(*tasks)


async def test_clients_take_turns() -> None:
    scheduler = Scheduler(1, 100)
    order: list[str] = []

    async def one(client: str) -> None:
        with scheduler.enqueue(client) as ticket:
            async for _ in scheduler.positions(ticket):
                pass
            order.append(client)
            await asyncio.sleep(0.001)

    tasks = [asyncio.create_task(one("greedy")) for _ in range(5)]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(one(client)) for client in ("a", "b", "a")]
    await asyncio.gather(*tasks)
    assert order == ["greedy", "greedy", "a", "b", "greedy", "a", "greedy", "greedy"]


async def test_a_position_is_the_number_of_grants_to_come() -> None:
    """Reported positions are exact for any queue if nobody else joins."""
    rng = random.Random(8)
    for _ in range(50):
        scheduler = Scheduler(1, 100)
        with scheduler.enqueue("first") as running:
            clients = [rng.choice("abc") for _ in range(rng.randint(1, 12))]
            order: list[int] = []
            told: list[int] = []

            async def one(number: int, client: str) -> None:
                with scheduler.enqueue(client) as ticket:  # noqa: B023
                    async for _ in scheduler.positions(ticket):  # noqa: B023
                        pass
                    order.append(number)  # noqa: B023

            tasks = [asyncio.create_task(one(n, client)) for n, client in enumerate(clients)]
            await asyncio.sleep(0)
            waiting = [ticket for line in scheduler._queues.values() for ticket in line]
            waiting.sort(key=lambda ticket: ticket.queued_at)
            told = [scheduler._position(ticket) for ticket in waiting]
            assert running.granted_at
        await asyncio.gather(*tasks)
        assert [order.index(number) + 1 for number in range(len(clients))] == told


async def test_leaving_the_line_moves_the_others_up() -> None:
    scheduler = Scheduler(1, 10)
    ended = asyncio.Event()
    running = asyncio.create_task(through(scheduler, until=ended))
    leaving = asyncio.create_task(through(scheduler))
    await asyncio.sleep(0)

    async def positions(ticket: Ticket) -> list[QueuePosition]:
        async with aclosing(scheduler.positions(ticket)) as places:
            return [queue_position async for queue_position in places]

    with scheduler.enqueue() as ticket:
        watching = asyncio.create_task(positions(ticket))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0.01)
        ended.set()
        assert [queue_position.position for queue_position in await watching] == [2, 1]
    await running
    assert (scheduler.running, scheduler.waiting) == (0, 0)
