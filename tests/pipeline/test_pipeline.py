"""The references that the pipeline holds to a request's files."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.context import RequestContext
from app.engine.client import OllamaClient
from app.engine.registry import ContextBudget, ModelRegistry
from app.engine.scheduler import Scheduler
from app.images.decoder import INLINE_FILE_BYTES, Decoder
from app.images.picture import Limits
from app.pipeline.cache import AnswerCache
from app.pipeline.events import Delta, Done, Event
from app.pipeline.pipeline import Pipeline
from app.schemas import DescribeRequest
from app.settings import Settings
from app.tasks import describe
from tests.events import Heard
from tests.fake_ollama.server import FakeOllama
from tests.pictures import encoded, scene


@asynccontextmanager
async def a_line() -> AsyncIterator[Pipeline]:
    """The pipeline with a fake engine."""
    with FakeOllama() as engine:
        settings = Settings(_env_file=None, model_name="fake-vlm", ollama_host=engine.url)
        ollama = OllamaClient(engine.url)
        registry = ModelRegistry(ollama, settings.model_name, frozenset(), ContextBudget(8192))
        decoder = Decoder(Limits(50))
        yield Pipeline(settings, registry, decoder, Scheduler(1, 1), ollama, AnswerCache(0))
        decoder.close()
        await ollama.aclose()


async def test_a_large_upload_is_let_go_once_it_is_decoded() -> None:
    photo = encoded(scene(6000, 4000), quality=95)
    assert len(photo) > INLINE_FILE_BYTES
    before = sys.getrefcount(photo)
    held: list[int] = []

    async def emit(event: Event) -> None:
        if isinstance(event, Delta):
            for _ in range(3000):  # a thread may still hold it for a moment
                if sys.getrefcount(photo) == before:
                    break
                await asyncio.sleep(0.01)
            held.append(sys.getrefcount(photo) - before)

    async with a_line() as pipeline:
        for no_store in (True, False):
            context = RequestContext("req_1", no_store=no_store)
            await pipeline.run(describe.TASK, DescribeRequest(), [photo], context, emit)
    await asyncio.sleep(0)
    assert held
    assert set(held) == {0}


async def test_the_files_of_the_caller_stay_as_they_are() -> None:
    files = [encoded(scene(64, 64)), encoded(scene(3000, 2000), quality=95)]
    given = list(files)
    heard: Heard[Event] = Heard()
    async with a_line() as pipeline:
        context = RequestContext("req_1")
        await pipeline.run(describe.TASK, DescribeRequest(), files, context, heard.say)
    assert isinstance(heard[-1], Done)
    assert files == given
