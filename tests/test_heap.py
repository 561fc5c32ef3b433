"""Memory that grew is cleaned up; memory that did not is left alone."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from app import heap


class Knot:
    """Refers to itself, so that only a collection frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thawed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(heap, "LOOKS_S", 0.01)
    gc.disable()
    yield
    gc.unfreeze()
    gc.enable()


@pytest.mark.parametrize(("grew", "kept"), [(heap.GREW + 1, False), (heap.GREW - 1, True)])
async def test_a_collection_where_it_grew(grew: int, kept: bool) -> None:
    size = 10**8
    tidying = asyncio.create_task(heap.keep_small(lambda: size))
    await asyncio.sleep(0.05)
    knot = weakref.ref(Knot())
    size += grew
    await asyncio.sleep(0.1)
    tidying.cancel()
    assert (knot() is not None) == kept


def test_settle_can_be_called() -> None:
    heap.settle()
