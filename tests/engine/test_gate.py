"""Slots and the queue."""

import asyncio

import pytest

from app.engine.gate import Gate
from app.errors import QueueFull


async def test_as_many_run_as_there_are_slots() -> None:
    gate = Gate(2, 10)
    most = 0

    async def work() -> None:
        nonlocal most
        async with gate.slot():
            most = max(most, gate.running)
            await asyncio.sleep(0.01)

    await asyncio.gather(*(work() for _ in range(8)))
    assert most == 2
    assert (gate.running, gate.waiting) == (0, 0)


async def test_who_waits_is_told_how_long_it_was() -> None:
    gate = Gate(1, 1)

    async def work() -> float:
        async with gate.slot() as waited_ms:
            await asyncio.sleep(0.05)
            return waited_ms

    first, second = await asyncio.gather(work(), work())
    assert first < 20
    assert second > 40


async def test_a_full_queue_refuses_with_the_time_it_takes() -> None:
    gate = Gate(1, 1)
    async with gate.slot():
        waiting = asyncio.create_task(gate.slot().__aenter__())
        await asyncio.sleep(0)
        with pytest.raises(QueueFull) as refused:
            async with gate.slot():
                pass
        assert refused.value.retry_after_s == pytest.approx(10)
        assert refused.value.headers() == {"Retry-After": "10"}
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert (gate.running, gate.waiting) == (0, 0)


async def test_no_queue_still_has_its_slots() -> None:
    gate = Gate(1, 0)
    async with gate.slot() as waited_ms:
        assert waited_ms < 20
