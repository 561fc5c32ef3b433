"""The client of the commands: what it sends, and what it makes of all that comes back."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from pathlib import Path

import pytest
from starlette.responses import HTMLResponse

from app.client.client import Client, normalize_url
from app.client.problem import ServerProblem
from tests.client.fake import Fake, event, problem
from tests.fake_ollama.script import Cut, Head, Script, Send
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import Server
from tests.pictures import encoded, scene
from tests.ports import free_port

SSE = Head(200, "text/event-stream")


async def test_files_and_bytes_go_as_they_are(fake: Fake, tmp_path: Path) -> None:
    picture = encoded(scene())
    file = tmp_path / "이름.jpg"
    file.write_bytes(picture)
    fields = {"question": ["a", "b"], "think": True, "seed": 7, "schema": {"x": "é"}, "pages": None}
    async with Client(fake.url) as client:
        answer = await client.ask("vqa", [file, b"more"], fields)
    assert answer["text"] == sha256(picture + b"more").hexdigest()
    sent = {name: value for name, value in fake.fields.items() if name != "image"}
    assert sent == {
        "question": ["a", "b"],
        "think": ["true"],
        "seed": ["7"],
        "schema": ['{"x":"é"}'],
        "stream": ["true"],
    }


async def test_an_address_goes_in_json(fake: Fake) -> None:
    async with Client(fake.url) as client:
        await client.ask("ocr", ["https://example.com/a.png", b"abc"], {"seed": 7, "think": False})
    assert fake.fields == {
        "image": ["https://example.com/a.png", "YWJj"],
        "seed": 7,
        "think": False,
        "stream": True,
    }


async def test_events_come_as_they_are_sent(fake: Fake) -> None:
    async with Client(fake.url) as client:
        told = [event async for event in client.stream("ocr", [b"a"], {})]
    assert [one.name for one in told] == ["queued", "start", "delta", "done"]
    assert told[0].data == {"position": 1, "eta_ms": 1000}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("", None),
        ("soon", None),
        ("in a minute", 60),
        ("a minute ago", 0),
    ],
)
async def test_a_refusal_says_when_to_come_again(
    fake: Fake, value: str, seconds: float | None
) -> None:
    if "minute" in value:  # as a date
        ago = timedelta(seconds=60 if value.startswith("in") else -60)
        value = format_datetime(datetime.now(UTC) + ago, usegmt=True)
    fake.refuse = lambda _: problem(429, "queue_full", value, parameter="x")
    async with Client(fake.url) as client:
        with pytest.raises(ServerProblem) as raised:
            await client.ask("ocr", [b"a"], {})
    told = raised.value
    assert (told.status, told.code, told.detail) == (429, "queue_full", "It says queue_full.")
    assert told.body["parameter"] == "x"
    assert told.refused and told.temporary
    assert told.retry_after_s == (seconds if seconds is None else pytest.approx(seconds, abs=30))


async def test_a_proxy_in_front_has_its_own_words(fake: Fake) -> None:
    fake.refuse = lambda _: HTMLResponse("<h1>Bad\nGateway</h1>", 502)
    async with Client(fake.url) as client:
        with pytest.raises(ServerProblem, match=r"HTTP 502 Bad Gateway from .*: <h1>Bad Gateway"):
            await client.ask("ocr", [b"a"], {})


async def test_a_body_that_is_refused_while_it_is_sent(tmp_path: Path) -> None:
    """The real server answers before it has read it, and closes."""
    with Server(tmp_path / "log", OLLAMA_HOST="127.0.0.1:9", MAX_BODY_MB="1") as server:
        async with Client(server.url) as client:
            for _ in range(5):
                with pytest.raises(ServerProblem) as raised:
                    await client.ask("ocr", [bytes(30_000_000)], {})
                assert raised.value.code == "body_too_large"


async def test_nobody_there() -> None:
    async with Client(f"127.0.0.1:{free_port()}") as client:
        with pytest.raises(ServerProblem, match=r"Start it with \./run_server\.sh") as raised:
            await client.status()
    assert raised.value.unreachable and raised.value.temporary


@pytest.mark.parametrize("wrong", ["ftp://x", "http://[", "http://no such", "http://x:99999999"])
async def test_what_is_no_address(wrong: str) -> None:
    with pytest.raises(ServerProblem) as raised:
        async with Client(wrong) as client:
            await client.status()
    assert raised.value.unreachable


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ((SSE, Send(event("delta", text="a"))), "connection_broken"),
        ((SSE, Send(event("delta", text="a")), Cut.CLOSED), "connection_broken"),
        ((SSE, Send(event("delta", text="a")), Cut.RESET), "connection_broken"),
        ((Cut.RESET,), "connection_broken"),
        ((SSE, Send(b"<html>\n\n")), "connection_broken"),
        ((SSE, Send(b"event: done\ndata: {\n\n")), "connection_broken"),
        ((SSE, Send(event("error", status=502, code="engine_error", detail="a"))), "engine_error"),
    ],
)
async def test_what_breaks_off(script: Script, code: str) -> None:
    with FakeOllama() as server:
        server.play(script, at="/v1/ocr")
        async with Client(server.url) as client:
            with pytest.raises(ServerProblem) as raised:
                await client.ask("ocr", [b"a"], {})
    assert raised.value.code == code
    assert raised.value.temporary


async def test_who_leaves_closes_the_connection(fake: Fake) -> None:
    fake.delay_s = 30
    async with Client(fake.url) as client:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(client.ask("ocr", [b"a"], {}), 0.2)
        assert await asyncio.to_thread(fake.left.wait, 120)


async def test_a_missing_file(fake: Fake, tmp_path: Path) -> None:
    async with Client(fake.url) as client:
        with pytest.raises(FileNotFoundError):
            await client.ask("ocr", [tmp_path / "none.png"], {})
    assert fake.asked == 0


def test_addresses_as_people_write_them() -> None:
    assert normalize_url("gpu-box:8000/") == "http://gpu-box:8000"
    assert normalize_url(" https://a.example/vlm/ ") == "https://a.example/vlm"
