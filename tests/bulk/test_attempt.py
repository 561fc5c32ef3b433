"""One file of a batch: what is tried again, and for how long."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from app.bulk import attempt
from app.bulk.attempt import TaskSpec, process
from app.bulk.server_pool import ServerPool
from tests.client.fake import Fake, problem
from tests.polling import wait_until_async


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """What the fake server takes for one."""
    path = tmp_path / "00.png"
    path.write_bytes(b"picture 0")
    return path


async def outcome(
    fake: Fake, path: Path, patience_s: float = 60, *, any_answered: bool = True
) -> Any:
    async with ServerPool([fake.url], "") as pool:
        return await process(
            str(path), TaskSpec("ocr", {}, patience_s), pool, any_answered=any_answered
        )


async def test_retry_after_is_kept_to(fake: Fake, picture: Path) -> None:
    fake.refuse = lambda n: problem(429, "queue_full", "1") if n == 1 else None
    told = await outcome(fake, picture)
    assert (told.attempts, told.error) == (2, None)
    assert fake.times[1] - fake.times[0] >= 1
    assert told.request_s + 1 <= told.seconds


async def test_a_long_wait_is_told(fake: Fake, picture: Path) -> None:
    fake.refuse = lambda _: problem(429, "rate_limited", "3600")
    said: list[str] = []
    async with ServerPool([fake.url], "", emit=said.append) as pool:
        work = asyncio.create_task(
            process(str(picture), TaskSpec("ocr", {}, 60), pool, any_answered=True)
        )
        await wait_until_async(lambda: bool(said))
        await asyncio.wait([work], timeout=0.5)
        work.cancel()
    assert fake.asked == 1, "it is kept to"
    assert said == [f"{fake.url} asks to wait 3600 s: It says rate_limited."]


async def test_refusals_end_with_the_patience(fake: Fake, picture: Path) -> None:
    fake.refuse = lambda _: problem(503, "engine_unavailable", "0")
    told = await outcome(fake, picture, patience_s=0.3)
    assert told.error["code"] == "engine_unavailable"
    assert told.attempts > 1
    assert 0.3 <= told.seconds < 30


async def test_what_breaks_in_the_middle_is_tried_a_few_times(
    fake: Fake, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "RETRY_PAUSE_S", 0.01)
    fake.refuse = lambda _: problem(502, "engine_interrupted", partial="a")
    told = await outcome(fake, picture)
    assert (told.attempts, told.error["partial"]) == (attempt.MAX_FAILURES, "a")


async def test_what_is_final_is_asked_once(fake: Fake, picture: Path) -> None:
    for any_answered, code in ((True, "invalid_parameter"), (False, "unreadable_image")):
        before = fake.asked
        fake.refuse = lambda _, code=code: problem(422, code)  # type: ignore[misc]
        told = await outcome(fake, picture, any_answered=any_answered)
        assert (told.error["code"], fake.asked) == (code, before + 1)


def draining(fake: Fake) -> Response | None:
    if fake.ready:
        return None
    threading.Timer(0.3, setattr, (fake, "ready", True)).start()
    return problem(503, "draining", "60")


async def test_a_server_that_ends_is_asked_whether_it_is_back(fake: Fake, picture: Path) -> None:
    fake.ready = False
    fake.refuse = lambda _: draining(fake)
    told = await outcome(fake, picture)
    assert (told.error, told.attempts) == (None, 1), "it was not the file that failed"
    assert told.seconds < 30
