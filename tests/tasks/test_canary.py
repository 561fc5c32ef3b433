"""The canary reads test images once after a change, and never while a client waits."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from PIL import Image, ImageOps

from app.engine.gate import Gate
from app.engine.ollama import Ollama
from app.engine.registry import Registry, Room
from app.images.decoder import Decoder
from app.images.picture import Limits
from app.settings import Settings
from app.tasks.cache import Answers
from app.tasks.canary import Canary, probes
from app.tasks.run import Line
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
async def canary(daemon: VersionedOllama) -> AsyncIterator[tuple[Canary, Line]]:
    settings = Settings(_env_file=None, model_name=NAME, ollama_host=daemon.url, num_ctx=8192)
    ollama = Ollama(daemon.url)
    registry = Registry(ollama, NAME, frozenset(), Room(8192))
    decoder = Decoder(Limits(50))
    line = Line(settings, registry, decoder, Gate(1, 4), ollama, Answers(0))
    try:
        yield Canary(line), line
    finally:
        decoder.close()
        await ollama.aclose()


async def test_it_reads_once_and_again_after_a_change() -> None:
    with VersionedOllama(Rules("0.34.0"), text=reads) as daemon:
        async with canary(daemon) as (bird, line):
            assert await bird.look()
            assert daemon.generations == 2
            assert [len(told.pictures) for told in daemon.prompts] == [1, 2]
            assert (await line.registry.find()).observed.warning == ""
            assert not await bird.look()
            daemon.digest = "e" * 64
            await line.registry.find(fresh=True)
            assert await bird.look()
            daemon.rules, daemon.version = Rules("0.35.0"), "0.35.0"
            await line.registry.find(fresh=True)
            assert await bird.look()
            assert daemon.generations == 6


async def test_a_misread_picture_is_named() -> None:
    with VersionedOllama(Rules("0.34.0"), text="a house") as daemon:
        async with canary(daemon) as (bird, line):
            assert await bird.look()
            model = await line.registry.find()
            assert "misreads the test images" in model.observed.warning
            assert "4807 as 'a house'" in model.observed.warning
            assert line.registry.faults()[NAME, "canary"] == 1


async def test_it_gives_way() -> None:
    """It gives way to a client that is being served, and to one that arrives while it reads."""
    with VersionedOllama(Rules("0.34.0"), text=reads) as daemon:
        async with canary(daemon) as (bird, line):
            with line.gate.enter():
                assert not await bird.look()
            assert daemon.generations == 0
            daemon.chosen = lambda body: HANG  # never answers
            looking = asyncio.create_task(bird.look())
            await wait_until_async(lambda: line.gate.running > 0)
            with line.gate.enter("client") as ticket:
                assert not await asyncio.wait_for(looking, HANG_S)
                await asyncio.wait_for(anext(line.gate.places(ticket), None), HANG_S)
                assert ticket.granted
            daemon.chosen = None


async def test_it_loads_no_model_and_asks_none_that_cannot_see() -> None:
    with VersionedOllama(Rules("0.34.0"), text=reads) as daemon:
        async with canary(daemon) as (bird, _):
            daemon.is_loaded = False
            assert not await bird.look()
            daemon.is_loaded, daemon.sees = True, False
        async with canary(daemon) as (bird, _):
            assert not await bird.look()
        assert daemon.generations == 0
