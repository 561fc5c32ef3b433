"""Slots, the queue, and refused requests."""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass

import pytest

from app.engine.gate import Gate, Place, Ticket
from app.errors import DeadlineExceeded, QueueFull


@dataclass
class Clock:
    """A fake clock, in seconds."""

    now_s: float = 1000.0


async def through(
    gate: Gate, client: str = "", takes_s: float = 0.01, until: asyncio.Event | None = None
) -> float:
    """One request that takes `takes_s` seconds, or lasts until `until` is set. Returns the
    milliseconds that it waited."""
    with gate.enter(client) as ticket:
        async for _ in gate.places(ticket):
            pass
        await (until.wait() if until else asyncio.sleep(takes_s))
        return ticket.waited_ms


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """The clock of the scheduler, which tests advance."""
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now_s)
    yield clock


def taught(clock: Clock, slots: int, max_queue: int, service_s: float) -> Gate:
    """A scheduler that has measured the service time `service_s`."""
    gate = Gate(slots, max_queue)
    for _ in range(50):  # so that the initial guess no longer counts
        with gate.enter():
            clock.now_s += service_s
    return gate


async def test_as_many_run_as_there_are_slots() -> None:
    gate = Gate(2, 10)
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, gate.running)
            await asyncio.sleep(0.001)

    watcher = asyncio.create_task(watch())
    await asyncio.gather(*(through(gate) for _ in range(8)))
    watcher.cancel()
    assert most == 2
    assert (gate.running, gate.waiting) == (0, 0)


async def test_who_waits_is_told_how_long_it_was() -> None:
    gate = Gate(1, 1)
    first, second = await asyncio.gather(through(gate, takes_s=0.05), through(gate))
    assert first < second
    assert second > 40


async def test_a_full_line_refuses_with_the_time_it_takes() -> None:
    gate = Gate(1, 1)
    running = asyncio.create_task(through(gate, takes_s=60))
    waiting = asyncio.create_task(through(gate))
    await asyncio.sleep(0.01)
    with pytest.raises(QueueFull) as refused:
        await through(gate)
    assert refused.value.headers() == {"Retry-After": "10"}  # two requests ahead at a guess of 5 s
    for task in (waiting, running):
        task.cancel()
    await asyncio.gather(running, waiting, return_exceptions=True)
    assert (gate.running, gate.waiting) == (0, 0)


async def test_no_line_still_has_its_slots() -> None:
    await through(Gate(1, 0))


async def test_what_cannot_be_met_is_refused_at_once(clock: Clock) -> None:
    """It is refused without a wait: the other requests end only afterwards."""
    gate = taught(clock, 1, 10, 0.1)
    ended = asyncio.Event()
    tasks = [asyncio.create_task(through(gate, until=ended)) for _ in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(DeadlineExceeded, match="3 request"), gate.enter(within_s=0.2):
        pass
    ended.set()
    with gate.enter(within_s=5) as ticket:
        async for _ in gate.places(ticket):
            pass
    await asyncio.gather(*tasks)


async def test_places_are_told_when_they_change(clock: Clock) -> None:
    gate = taught(clock, 1, 10, 0.05)

    async def one() -> None:
        with gate.enter() as ticket:
            async for _ in gate.places(ticket):
                pass
            await asyncio.sleep(0)
            clock.now_s += 0.05

    tasks = [asyncio.create_task(one()) for _ in range(3)]
    await asyncio.sleep(0)
    with gate.enter() as ticket:
        places = [place async for place in gate.places(ticket)]
    assert [place.position for place in places] == [3, 2, 1]
    assert [place.eta_ms for place in places] == pytest.approx([150, 100, 50], rel=0.01)
    await asyncio.gather(*tasks)


async def test_clients_take_turns() -> None:
    gate = Gate(1, 100)
    order: list[str] = []

    async def one(client: str) -> None:
        with gate.enter(client) as ticket:
            async for _ in gate.places(ticket):
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
        gate = Gate(1, 100)
        with gate.enter("first") as running:
            clients = [rng.choice("abc") for _ in range(rng.randint(1, 12))]
            order: list[int] = []
            told: list[int] = []

            async def one(number: int, client: str) -> None:
                with gate.enter(client) as ticket:  # noqa: B023
                    async for _ in gate.places(ticket):  # noqa: B023
                        pass
                    order.append(number)  # noqa: B023

            tasks = [asyncio.create_task(one(n, client)) for n, client in enumerate(clients)]
            await asyncio.sleep(0)
            waiting = [ticket for line in gate._lines.values() for ticket in line]
            waiting.sort(key=lambda ticket: ticket.asked)
            told = [gate._position(ticket) for ticket in waiting]
            assert running.granted
        await asyncio.gather(*tasks)
        assert [order.index(number) + 1 for number in range(len(clients))] == told


async def test_leaving_the_line_moves_the_others_up() -> None:
    gate = Gate(1, 10)
    ended = asyncio.Event()
    running = asyncio.create_task(through(gate, until=ended))
    leaving = asyncio.create_task(through(gate))
    await asyncio.sleep(0)

    async def positions(ticket: Ticket) -> list[Place]:
        async with aclosing(gate.places(ticket)) as places:
            return [place async for place in places]

    with gate.enter() as ticket:
        watching = asyncio.create_task(positions(ticket))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0.01)
        ended.set()
        assert [place.position for place in await watching] == [2, 1]
    await running
    assert (gate.running, gate.waiting) == (0, 0)
