"""Parser of the server-sent events (WHATWG HTML, 9.2) of this server."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the API: `start`, `queued`, `delta`, `reasoning`, `done`."""

    name: str
    data: dict[str, Any]


async def read_events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
    """Yield the complete events. Comments, which keep the connection alive, are skipped.

    Raises:
        ValueError: the stream is not in this server's format.
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
        raise ValueError(f"not an event of this server: {block[:80]!r}")
    return Event(name.removeprefix(b"event: ").decode(), orjson.loads(data[6:]))
