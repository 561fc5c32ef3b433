"""Memory that grew is cleaned up; memory that did not is left alone."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from app.server import memory


class Knot:
    """Refers to itself, so that only a collection frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thawed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(memory, "CHECK_INTERVAL_S", 0.01)
    gc.disable()
    yield
    gc.unfreeze()
    gc.enable()


BUSY = [(memory.GROWTH_BYTES * at) // 30 for at in range(1, 30)]  # bytes more at each look


@pytest.mark.parametrize(
    ("grew", "cleaned"),
    [
        ([memory.GROWTH_BYTES + 1], True),
        (BUSY, False),
        ([memory.GROWTH_BYTES - 1] * 9, True),  # and then it is quiet
        ([0] * 9, False),
    ],
)
async def test_a_collection_where_it_grew_or_became_quiet(grew: list[int], cleaned: bool) -> None:
    sizes = iter([10**8, *(10**8 + more for more in grew)])
    over = asyncio.Event()

    def resident() -> int:
        try:
            return next(sizes)
        except StopIteration:
            over.set()
            return 10**8

    tidying = asyncio.create_task(memory.trim_periodically(resident))
    await asyncio.sleep(0)
    knot = weakref.ref(Knot())
    await over.wait()
    tidying.cancel()
    assert (knot() is None) == cleaned


def test_settle_can_be_called() -> None:
    memory.configure_allocator()
