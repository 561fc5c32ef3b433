"""Response formats of the task routes: how each event is encoded."""

from typing import Any

import orjson

from app.pipeline.events import Delta, Done, Event, Queued, Reasoning, Start
from app.schemas import Timings


def event_data(event: Event) -> dict[str, Any]:
    """The data of an event, as the API contract defines it."""
    match event:
        case Start():
            images = [image.model_dump() for image in event.images]
            return {"id": event.id, "task": event.task, "model": event.model, "images": images}
        case Delta():
            place = {"page": event.page, "question": event.question, "image": event.image}
            return {"text": event.text} | {k: v for k, v in place.items() if v is not None}
        case Queued():
            return {"position": event.position, "eta_ms": event.eta_ms}
        case Reasoning():
            return {"text": event.text}
        case Done():
            return event.answer.model_dump(exclude_unset=True)


EVENT_NAMES = {
    Start: "start",
    Queued: "queued",
    Delta: "delta",
    Reasoning: "reasoning",
    Done: "done",
}
ERROR_EVENT = "error"


def _event_name(event: Event) -> str:
    """The name of an event in the API contract."""
    return EVENT_NAMES[type(event)]


def server_timing(timings: Timings) -> str:
    """A `Server-Timing` header: one entry per stage, in milliseconds."""
    return (
        f"queue;dur={timings.queue_ms}, prepare;dur={timings.prepare_ms}, "
        f"load;dur={timings.load_ms}, prompt;dur={timings.prompt_ms}, "
        f"generate;dur={timings.generate_ms}, total;dur={timings.total_ms}"
    )


class Encoder:
    """Encodes the events of one answer. If `encode` returns no bytes, nothing is sent."""

    media_type = "application/json"
    keep_alive = b""  # sent every `KEEP_ALIVE_INTERVAL_S`; empty: none is sent
    aborts_on_error = False  # whether an error also closes the connection

    def encode(self, event: Event) -> bytes:
        """Encode one event."""
        raise NotImplementedError

    def encode_error(self, problem: dict[str, Any]) -> bytes:
        """Encode the problem, in the protocol's format, that ends a started answer."""
        raise NotImplementedError

    def headers(self, event: Event) -> dict[str, str]:
        """Header fields of a response whose first event is this."""
        return {"cache-control": "no-store", "x-accel-buffering": "no"}


class JsonEncoder(Encoder):
    """The whole answer at once: only the `done` event is encoded."""

    def encode(self, event: Event) -> bytes:
        return orjson.dumps(event_data(event)) if isinstance(event, Done) else b""

    def headers(self, event: Event) -> dict[str, str]:
        if not isinstance(event, Done):
            return {}
        return {"server-timing": server_timing(event.answer.timings)}


class SseEncoder(Encoder):
    """Server-sent events (WHATWG HTML, 9.2)."""

    media_type = "text/event-stream"
    keep_alive = b": waiting\n\n"

    def encode(self, event: Event) -> bytes:
        return self._event(_event_name(event), event_data(event))

    def encode_error(self, problem: dict[str, Any]) -> bytes:
        return self._event(ERROR_EVENT, problem)

    @staticmethod
    def _event(name: str, data: dict[str, Any]) -> bytes:
        return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(data))


class NdjsonEncoder(Encoder):
    """One JSON object per line, each with its `event`."""

    media_type = "application/x-ndjson"

    def encode(self, event: Event) -> bytes:
        return orjson.dumps({"event": _event_name(event), **event_data(event)}) + b"\n"

    def encode_error(self, problem: dict[str, Any]) -> bytes:
        return orjson.dumps({"event": ERROR_EVENT, **problem}) + b"\n"


class PlainTextEncoder(Encoder):
    """Plain text, for a terminal. An error is written as a last line, and the connection is closed
    early, which curl reports: plain text has no other sign that it is incomplete."""

    media_type = "text/plain; charset=utf-8"
    aborts_on_error = True

    def __init__(self) -> None:
        self._part: tuple[int | None, ...] | None = None

    def encode(self, event: Event) -> bytes:
        match event:
            case Delta():
                gap = "\n\n" if self._part not in (None, event.part) else ""
                self._part = event.part
                return (gap + event.text).encode()
            case Done():
                return b"\n"
        return b""

    def encode_error(self, problem: dict[str, Any]) -> bytes:
        return f"\n[{problem['code']}] {problem['detail']}\n".encode()


def negotiate(stream: bool, accept: str) -> Encoder:
    """The encoder that matches the `stream` field and the `Accept` header of a request."""
    kinds = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    if "text/plain" in kinds:
        return PlainTextEncoder()
    if not stream:
        return JsonEncoder()
    return NdjsonEncoder() if "application/x-ndjson" in kinds else SseEncoder()
