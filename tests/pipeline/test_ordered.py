"""Concurrent works emit their events in order."""

import asyncio
from contextlib import suppress

import pytest

from app.engine.events import Emit, EventSource
from app.pipeline.ordered import run_ordered
from tests.events import Heard
from tests.polling import wait_until_async

running = most = 0


def work(name: str, items: int, fails: bool = False) -> EventSource[str]:
    async def run(emit: Emit[str]) -> None:
        global running, most  # noqa: PLW0603
        running += 1
        most = max(most, running)
        try:
            for item in range(items):
                await asyncio.sleep(0.001)
                await emit(f"{name}{item}")
            if fails:
                raise ValueError(name)
        finally:
            running -= 1

    return run


@pytest.fixture(autouse=True)
def fresh() -> None:
    global running, most  # noqa: PLW0603
    running = most = 0


@pytest.mark.parametrize("at_once", [1, 2, 9])
async def test_order_and_bound(at_once: int) -> None:
    lengths = [5, 2, 1, 30, 2]
    heard: Heard[str] = Heard()
    works = [work(str(n), length) for n, length in enumerate(lengths)]
    await run_ordered(works, at_once, heard.say)
    assert heard == [f"{n}{i}" for n, length in enumerate(lengths) for i in range(length)]
    assert most == min(at_once, 5)


async def test_an_error_comes_in_its_turn_and_ends_the_rest() -> None:
    works = [work("a", 5), work("b", 1, fails=True), work("c", 1000)]
    heard: Heard[str] = Heard()
    with pytest.raises(ValueError, match="b"):
        await run_ordered(works, 3, heard.say)
    assert heard == ["a0", "a1", "a2", "a3", "a4", "b0"]
    assert running == 0


@pytest.mark.parametrize("works", [1, 2])
async def test_leaving_ends_all(works: int) -> None:
    heard: Heard[str] = Heard()
    task = asyncio.create_task(run_ordered([work("a", 999)] * works, 2, heard.say))
    await wait_until_async(lambda: bool(heard))
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert running == 0


async def test_whoever_cannot_be_told_ends_all() -> None:
    async def refuse(_: str) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await run_ordered([work("a", 9), work("b", 9)], 2, refuse)
    assert running == 0
