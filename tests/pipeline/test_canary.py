"""The canary reads test images once after a change, and never while a client waits."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from PIL import Image, ImageOps

from app.engine.client import OllamaClient
from app.engine.registry import ContextBudget, ModelRegistry
from app.engine.scheduler import Scheduler
from app.images.decoder import Decoder
from app.images.picture import Limits
from app.pipeline.cache import AnswerCache
from app.pipeline.canary import Canary, probes
from app.pipeline.pipeline import Pipeline
from app.settings import Settings
from tests.fake_ollama.script import HANG
from tests.fake_ollama.versioned import NAME, VersionedOllama
from tests.fake_ollama.versions import Rendered, Rules
from tests.polling import HANG_S, wait_until_async


def reads(told: Rendered) -> str:
    """A model that identifies a number by the amount of ink in the image as it was sent."""
    known = {}
    for probe in probes():
        for number, data in zip(probe.numbers, probe.files, strict=True):
            with Image.open(io.BytesIO(data)) as image:
                known[number] = _ink(ImageOps.exif_transpose(image))
    said = []
    for seen, data in zip(told.pictures, told.files, strict=False):
        with Image.open(io.BytesIO(data)) as image:
            upright = (seen.width, seen.height) == (640, 480) or seen.width == 641
            ink = _ink(image)
            nearest = min(known, key=lambda number: abs(known[number] - ink))
            said.append(nearest if upright else "0")
    return ", ".join(said)


def _ink(image: Image.Image) -> int:
    return sum(image.convert("L").histogram()[:128])


@asynccontextmanager
async def canary(daemon: VersionedOllama) -> AsyncIterator[tuple[Canary, Pipeline]]:
    settings = Settings(_env_file=None, model_name=NAME, ollama_host=daemon.url, num_ctx=8192)
    ollama = OllamaClient(daemon.url)
    registry = ModelRegistry(ollama, NAME, frozenset(), ContextBudget(8192))
    decoder = Decoder(Limits(50))
    pipeline = Pipeline(settings, registry, decoder, Scheduler(1, 4), ollama, AnswerCache(0))
    try:
        yield Canary(pipeline), pipeline
    finally:
        decoder.close()
        await ollama.aclose()


async def test_it_reads_once_and_again_after_a_change() -> None:
    with VersionedOllama(Rules("0.34.0"), text=reads) as daemon:
        async with canary(daemon) as (bird, pipeline):
            assert await bird.check()
            assert daemon.generations == 2
            assert [len(told.pictures) for told in daemon.prompts] == [1, 2]
            assert (await pipeline.registry.find()).observed.warning == ""
            assert not await bird.check()
            daemon.digest = "e" * 64
            await pipeline.registry.find(fresh=True)
            assert await bird.check()
            daemon.rules, daemon.version = Rules("0.35.0"), "0.35.0"
            await pipeline.registry.find(fresh=True)
            assert await bird.check()
            assert daemon.generations == 6


async def test_a_misread_picture_is_named() -> None:
    with VersionedOllama(Rules("0.34.0"), text="a house") as daemon:
        async with canary(daemon) as (bird, pipeline):
            assert await bird.check()
            model = await pipeline.registry.find()
            assert "misreads the test images" in model.observed.warning
            assert "4807 as 'a house'" in model.observed.warning
            assert pipeline.registry.fault_counts()[NAME, "canary"] == 1


async def test_it_gives_way() -> None:
    """It gives way to a client that is being served, and to one that arrives while it reads."""
    with VersionedOllama(Rules("0.34.0"), text=reads) as daemon:
        async with canary(daemon) as (bird, pipeline):
            with pipeline.scheduler.enqueue():
                assert not await bird.check()
            assert daemon.generations == 0
            daemon.chosen = lambda body: HANG  # never answers
            looking = asyncio.create_task(bird.check())
            await wait_until_async(lambda: pipeline.scheduler.running > 0)
            with pipeline.scheduler.enqueue("client") as ticket:
                assert not await asyncio.wait_for(looking, HANG_S)
                await asyncio.wait_for(anext(pipeline.scheduler.positions(ticket), None), HANG_S)
                assert ticket.granted_at
            daemon.chosen = None


async def test_it_loads_no_model_and_asks_none_that_cannot_see() -> None:
    with VersionedOllama(Rules("0.34.0"), text=reads) as daemon:
        async with canary(daemon) as (bird, _):
            daemon.is_loaded = False
            assert not await bird.check()
            daemon.is_loaded, daemon.sees = True, False
        async with canary(daemon) as (bird, _):
            assert not await bird.check()
        assert daemon.generations == 0
