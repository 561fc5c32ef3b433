"""How a stream of events is written, and how it ends."""

import asyncio
import json
import weakref
from collections.abc import MutableMapping, Sequence
from functools import partial
from typing import Any

import pytest

from app.context import RequestContext
from app.engine.events import Emit, EventSource
from app.errors import EngineInterrupted, QueueFull
from app.pipeline.events import Delta, Event, Start
from app.routes import response as answer
from app.routes.direct import DirectRoute
from app.routes.encoders import (
    Encoder,
    JsonEncoder,
    NdjsonEncoder,
    PlainTextEncoder,
    SseEncoder,
    negotiate,
)
from app.routes.openai import endpoints as openai
from app.routes.openai.encoders import ChatChunkEncoder
from app.routes.response import AnswerResponse
from tests.events import sse
from tests.polling import wait_until_async

START = Start("req_1", "ocr", "m", ())
FORMS = {"sse": SseEncoder, "ndjson": NdjsonEncoder, "text": PlainTextEncoder, "json": JsonEncoder}


class Client:
    """The other side of an ASGI answer."""

    def __init__(self, leaves_after_s: float = 60, route: object = DirectRoute) -> None:
        self.messages: list[MutableMapping[str, Any]] = []
        self.leaves_after_s = leaves_after_s
        self.context = RequestContext("req_1")
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "state": {"context": self.context},
            "route": route,
        }

    async def receive(self) -> MutableMapping[str, Any]:
        await asyncio.sleep(self.leaves_after_s)
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.messages.append(message)

    async def read(self, work: EventSource[Event], encoder: Encoder) -> str:
        response = AnswerResponse(work, encoder, self.context)
        del work
        await response(self.scope, self.receive, self.send)
        return b"".join(message.get("body", b"") for message in self.messages[1:]).decode()

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def ended(self) -> bool:
        return not self.messages[-1].get("more_body", False)


def breaks(error: Exception, *before: Event) -> EventSource[Event]:
    async def work(emit: Emit[Event]) -> None:
        for event in before:
            await emit(event)
        raise error

    return work


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (QueueFull("full.", retry_after_s=7), 429, "queue_full"),
        (ZeroDivisionError(), 500, "internal_error"),
    ],
)  # fmt: skip
async def test_what_fails_before_the_first_byte_has_its_own_status(
    form: str, error: Exception, status: int, code: str
) -> None:
    client = Client()
    body = await client.read(breaks(error), FORMS[form]())
    assert client.status == status
    assert json.loads(body)["code"] == code
    headers = dict(client.messages[0]["headers"])
    assert headers.get(b"retry-after") == (b"7" if status == 429 else None)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EngineInterrupted("cut.", partial="ab"), "engine_interrupted"),
        (ValueError("a bug"), "internal_error"),
    ],
)
async def test_what_fails_later_is_the_last_event(error: Exception, code: str) -> None:
    client = Client()
    events = breaks(error, START, Delta("ab"))
    told = sse(await client.read(events, SseEncoder()))
    assert [name for name, _ in told] == ["start", "delta", "error"]
    assert told[-1][1]["code"] == code
    assert "a bug" not in json.dumps(told)
    assert client.context.code == code
    assert client.ended


@pytest.mark.parametrize("before", [(), (START, Delta("ab"))], ids=["whole", "stream"])
async def test_the_protocol_of_the_route_chooses_the_shape(before: tuple[Event, ...]) -> None:
    work = breaks(QueueFull("full."), *before)
    body = await Client(route=openai.OpenAiRoute).read(work, ChatChunkEncoder(False))
    error = json.loads(body.rpartition("data: ")[2])
    assert error == {
        "error": {
            "message": "full.",
            "type": "rate_limit_error",
            "param": None,
            "code": "queue_full",
            "request_id": "req_1",
        }
    }


async def test_text_that_breaks_off_is_left_open() -> None:
    client = Client()
    events = breaks(EngineInterrupted("cut."), START, Delta("ab"))
    body = await client.read(events, PlainTextEncoder())
    assert body == "ab\n[engine_interrupted] cut.\n"
    assert not client.ended


@pytest.mark.parametrize("form", FORMS)
async def test_a_client_who_leaves_ends_the_work(form: str) -> None:
    closed = asyncio.Event()

    async def endless(emit: Emit[Event]) -> None:
        try:
            await emit(START)
            while True:
                await asyncio.sleep(0.01)
                await emit(Delta("a"))
        finally:
            closed.set()

    client = Client(leaves_after_s=0.05)
    await client.read(endless, FORMS[form]())
    assert closed.is_set()


async def test_the_files_of_a_request_are_not_held_while_it_is_answered() -> None:
    class File:
        pass

    file = File()
    known = weakref.ref(file)
    gone: list[bool] = []

    async def work(files: Sequence[File], emit: Emit[Event]) -> None:
        assert len(files) == 1
        del files
        await emit(START)
        gone.append(known() is None)

    client = Client()
    reading = client.read(partial(work, (file,)), SseEncoder())
    del file
    await reading
    assert gone == [True]


async def test_silence_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "KEEP_ALIVE_INTERVAL_S", 0.02)

    client = Client()

    def waitings() -> int:
        return sum(b": waiting" in message.get("body", b"") for message in client.messages)

    async def silent(emit: Emit[Event]) -> None:
        await emit(START)
        await wait_until_async(lambda: waitings() >= 2)
        await emit(Delta("a"))

    async def slow(emit: Emit[Event]) -> None:
        await emit(START)
        await asyncio.sleep(0.1)
        await emit(Delta("a"))

    body = await client.read(silent, SseEncoder())
    assert body.count(": waiting\n\n") >= 2
    assert [name for name, _ in sse(body)] == ["start", "delta"]
    quiet = await Client().read(slow, NdjsonEncoder())
    assert len(quiet.splitlines()) == 2


@pytest.mark.parametrize(
    ("stream", "accept", "form"),
    [
        (False, "*/*", JsonEncoder),
        (False, "text/event-stream", JsonEncoder),
        (False, "text/plain", PlainTextEncoder),
        (True, "", SseEncoder),
        (True, "application/json", SseEncoder),
        (True, "Application/X-NDJSON; q=0.9, */*", NdjsonEncoder),
        (True, "text/plain", PlainTextEncoder),
    ],
)
def test_choice(stream: bool, accept: str, form: type[Encoder]) -> None:
    assert type(negotiate(stream, accept)) is form


def test_parts_of_a_text_are_set_apart() -> None:
    encoder = PlainTextEncoder()
    deltas = [Delta("a", question=0), Delta("b", question=0), Delta("c", question=1)]
    assert b"".join(map(encoder.encode, deltas)) == b"ab\n\nc"
