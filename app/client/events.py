"""Reads server-sent events (WHATWG HTML, 9.2) as this server writes them."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the contract: `start`, `queued`, `delta`, `reasoning`, `done`."""

    name: str
    data: dict[str, Any]


async def read_events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
    """The events that are whole. Comments, which break a silence, are none.

    Raises:
        ValueError: what comes are no such events.
    """
    remainder = b""
    async for chunk in chunks:
        *blocks, remainder = (remainder + chunk).split(b"\n\n")
        for block in blocks:
            if not block.startswith(b":"):
                yield _parse(block)


def _parse(block: bytes) -> Event:
    name, _, data = block.partition(b"\n")
    if not (name.startswith(b"event: ") and data.startswith(b"data: ")):
        raise ValueError(f"no event of this server: {block[:80]!r}")
    return Event(name.removeprefix(b"event: ").decode(), orjson.loads(data[6:]))
