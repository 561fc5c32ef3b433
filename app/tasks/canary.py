"""Canary: reads known test images in the background after the engine or the model changed.

Updates of Ollama have broken images more than once without an error: two images of equal size were
merged, a minimum token count upscaled small ones. A number on an image stored sideways, and two
numbers on images of equal size, show that images reach the model whole, upright and separate.
"""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.context import RequestContext
from app.engine.registry import Model
from app.errors import Problem
from app.logs import log
from app.schemas import VqaRequest
from app.tasks import vqa
from app.tasks.events import Done, Event
from app.tasks.run import Line

FIRST_S = 5.0  # delay after start-up
EVERY_S = 30.0
LOOK_S = 0.1  # interval of the check for waiting clients
PICTURES = Path(__file__).parent / "canary_pictures"
MOST_QUOTED = 80  # characters
EMBEDDED = "embedded"  # in the version of an engine that does not handle rotated images


@dataclass(frozen=True, slots=True)
class Probe:
    """Test images, a question, and the numbers that the answer must contain in order."""

    files: tuple[bytes, ...]
    question: str
    numbers: tuple[str, ...]


def probes() -> tuple[Probe, ...]:
    """The test images, drawn by `tools.canary`. One is stored sideways with an EXIF orientation."""
    return (
        Probe(
            (_number("4807"),),
            "Which number is in the picture? Answer with its digits alone.",
            ("4807",),
        ),
        Probe(
            (_number("615"), _number("392")),
            "Which number is in the first picture, and which in the second? Answer with the two "
            "numbers alone.",
            ("615", "392"),
        ),
    )


def _number(digits: str) -> bytes:
    return (PICTURES / f"{digits}.jpg").read_bytes()


class Canary:
    """Reads the test images while the engine is idle and the model is loaded.

    It stops as soon as a client waits. The result is stored in `Model.observed`.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._read: tuple[str, str, str] | None = None  # model, digest, version

    async def watch(self) -> None:
        """Call `look` every `EVERY_S` seconds until cancelled."""
        await asyncio.sleep(FIRST_S)
        while True:
            with suppress(Problem):
                await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> bool:
        """Read the test images if model or daemon changed and no client is served.

        Returns whether they were read.

        Raises:
            Problem: the engine did not answer. The next call tries again.
        """
        model = await self._line.registry.find()
        state = (model.name, model.digest, model.daemon.version)
        if state == self._read or not model.sees or EMBEDDED in model.daemon.version:
            return False
        if self._busy() or await self._line.registry.placement(model.name) is None:
            return False
        reading = asyncio.create_task(self._faults())
        try:
            while not reading.done():
                await asyncio.wait({reading}, timeout=LOOK_S)
                if self._line.gate.waiting:
                    return False
        finally:
            reading.cancel()
        self._judge(model, await reading)
        self._read = state
        return True

    def _busy(self) -> bool:
        return bool(self._line.gate.running or self._line.gate.waiting)

    async def _faults(self) -> list[str]:
        """The test images that were misread, one phrase each."""
        faults = []
        for probe in probes():
            said = await self._ask(probe)
            if re.findall(r"\d+", said) != list(probe.numbers):
                numbers = " and ".join(probe.numbers)
                faults.append(f"{numbers} as {said.strip()[:MOST_QUOTED]!r}")
        return faults

    async def _ask(self, probe: Probe) -> str:
        """The answer to a probe, neither cached nor shared."""
        said: list[str] = []

        async def take(event: Event) -> None:
            if isinstance(event, Done):
                said.append(event.answer.text)

        request = VqaRequest(question=[probe.question], language="en")
        context = RequestContext("canary", key="canary", no_store=True)
        await self._line.run(vqa.TASK, request, probe.files, context, take)
        return "".join(said)

    def _judge(self, model: Model, faults: list[str]) -> None:
        model.observed.warning = ""
        if faults:
            model.observed.faults["canary"] += 1
            model.observed.warning = (
                f"{model.name} on Ollama {model.daemon.version} misreads the test images: it read "
                f"{' and '.join(faults)}. Update Ollama, go back to a version that read them "
                "correctly, or pull the model again."
            )
            log.warning("test images misread", detail=model.observed.warning)
