"""The references that the pipeline holds to a request's files."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.context import RequestContext
from app.engine.gate import Gate
from app.engine.ollama import Ollama
from app.engine.registry import Registry, Room
from app.images.decoder import SMALL, Decoder
from app.images.picture import Limits
from app.schemas import DescribeRequest
from app.settings import Settings
from app.tasks import describe
from app.tasks.cache import Answers
from app.tasks.events import Delta, Done, Event
from app.tasks.run import Line
from tests.events import Heard
from tests.fake_ollama.server import FakeOllama
from tests.pictures import encoded, scene


@asynccontextmanager
async def a_line() -> AsyncIterator[Line]:
    """The pipeline with a fake engine."""
    with FakeOllama() as engine:
        settings = Settings(_env_file=None, model_name="fake-vlm", ollama_host=engine.url)
        ollama = Ollama(engine.url)
        registry = Registry(ollama, settings.model_name, frozenset(), Room(8192))
        decoder = Decoder(Limits(50))
        yield Line(settings, registry, decoder, Gate(1, 1), ollama, Answers(0))
        decoder.close()
        await ollama.aclose()


async def test_a_large_upload_is_let_go_once_it_is_decoded() -> None:
    photo = encoded(scene(6000, 4000), quality=95)
    assert len(photo) > SMALL
    before = sys.getrefcount(photo)
    held: list[int] = []

    async def say(event: Event) -> None:
        if isinstance(event, Delta):
            for _ in range(3000):  # a thread may still hold it for a moment
                if sys.getrefcount(photo) == before:
                    break
                await asyncio.sleep(0.01)
            held.append(sys.getrefcount(photo) - before)

    async with a_line() as line:
        for no_store in (True, False):
            context = RequestContext("req_1", no_store=no_store)
            await line.run(describe.TASK, DescribeRequest(), [photo], context, say)
    await asyncio.sleep(0)
    assert held
    assert set(held) == {0}


async def test_the_files_of_the_caller_stay_as_they_are() -> None:
    files = [encoded(scene(64, 64)), encoded(scene(3000, 2000), quality=95)]
    given = list(files)
    heard: Heard[Event] = Heard()
    async with a_line() as line:
        context = RequestContext("req_1")
        await line.run(describe.TASK, DescribeRequest(), files, context, heard.say)
    assert isinstance(heard[-1], Done)
    assert files == given
