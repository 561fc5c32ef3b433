"""Parsers of the event streams, strict about the format; and a list that records events."""

import json
from typing import Any, TypeVar

Event = tuple[str, dict[str, Any]]
Item = TypeVar("Item")


def sse(body: str) -> list[Event]:
    """The events of a text/event-stream, without comments."""
    assert body.endswith("\n\n"), "the last event is cut"
    events = []
    for block in body.removesuffix("\n\n").split("\n\n"):
        if block.startswith(":"):
            continue
        name, data = block.split("\n")
        assert name.startswith("event: ") and data.startswith("data: ")
        events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return events


def ndjson(body: str) -> list[Event]:
    """The events of an application/x-ndjson body."""
    assert body.endswith("\n")
    lines = [json.loads(line) for line in body.splitlines()]
    return [(line.pop("event"), line) for line in lines]


def text_of(events: list[Event]) -> str:
    return "".join(data["text"] for name, data in events if name == "delta")


class Heard(list[Item]):
    """Records the events that are emitted, in order."""

    async def say(self, item: Item) -> None:
        self.append(item)
