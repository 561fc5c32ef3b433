"""Several streams at once, written in order."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from app.tasks.order import in_order

running = most = 0


async def stream(name: str, items: int, fails: bool = False) -> AsyncGenerator[str, None]:
    global running, most  # noqa: PLW0603
    running += 1
    most = max(most, running)
    try:
        for item in range(items):
            await asyncio.sleep(0.001)
            yield f"{name}{item}"
        if fails:
            raise ValueError(name)
    finally:
        running -= 1


@pytest.fixture(autouse=True)
def fresh() -> None:
    global running, most  # noqa: PLW0603
    running = most = 0


@pytest.mark.parametrize("at_once", [1, 2, 9])
async def test_order_and_bound(at_once: int) -> None:
    lengths = [5, 2, 1, 30, 2]
    streams = [stream(str(n), length) for n, length in enumerate(lengths)]
    items = [item async for item in in_order(streams, at_once)]
    assert items == [f"{n}{i}" for n, length in enumerate(lengths) for i in range(length)]
    assert most == min(at_once, 5)


async def test_an_error_comes_in_its_turn_and_ends_the_rest() -> None:
    streams = [stream("a", 5), stream("b", 1, fails=True), stream("c", 1000)]
    seen = []
    with pytest.raises(ValueError, match="b"):
        async for item in in_order(streams, 3):
            seen.append(item)  # noqa: PERF401
    assert seen == ["a0", "a1", "a2", "a3", "a4", "b0"]
    assert running == 0


async def test_leaving_ends_all() -> None:
    async with aclosing(in_order([stream("a", 9), stream("b", 9)], 2)) as items:
        async for _ in items:
            break
    assert running == 0
