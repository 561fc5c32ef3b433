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
from app.observability.logs import log
from app.pipeline.events import Done, Event
from app.pipeline.pipeline import Pipeline
from app.schemas import VqaRequest
from app.tasks import vqa

INITIAL_DELAY_S = 5.0  # delay after start-up
INTERVAL_S = 30.0
YIELD_POLL_S = 0.1  # interval of the check for waiting clients
PICTURES_DIR = Path(__file__).parent / "canary_pictures"
MAX_QUOTED_CHARACTERS = 80  # characters
EMBEDDED_VERSION = "embedded"  # in the version of an engine that does not handle rotated images


@dataclass(frozen=True, slots=True)
class CanaryProbe:
    """Test images, a question, and the numbers that the answer must contain in order."""

    files: tuple[bytes, ...]
    question: str
    numbers: tuple[str, ...]


def probes() -> tuple[CanaryProbe, ...]:
    """The test images, drawn by `tools.canary`. One is stored sideways with an EXIF orientation."""
    return (
        CanaryProbe(
            (_number("4807"),),
            "Which number is in the picture? Answer with its digits alone.",
            ("4807",),
        ),
        CanaryProbe(
            (_number("615"), _number("392")),
            "Which number is in the first picture, and which in the second? Answer with the two "
            "numbers alone.",
            ("615", "392"),
        ),
    )


def _number(digits: str) -> bytes:
    return (PICTURES_DIR / f"{digits}.jpg").read_bytes()


class Canary:
    """Reads the test images while the engine is idle and the model is loaded.

    It stops as soon as a client waits. The result is stored in `Model.observed`.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._checked_state: tuple[str, str, str] | None = None  # model, digest, version

    async def run(self) -> None:
        """Call `check` every `INTERVAL_S` seconds until cancelled."""
        await asyncio.sleep(INITIAL_DELAY_S)
        while True:
            with suppress(Problem):
                await self.check()
            await asyncio.sleep(INTERVAL_S)

    async def check(self) -> bool:
        """Read the test images if model or daemon changed and no client is served.

        Returns whether they were read.

        Raises:
            Problem: the engine did not answer. The next call tries again.
        """
        model = await self._pipeline.registry.find()
        state = (model.name, model.digest, model.daemon.version)
        if (
            state == self._checked_state
            or not model.has_vision
            or EMBEDDED_VERSION in model.daemon.version
        ):
            return False
        if self._busy() or await self._pipeline.registry.placement(model.name) is None:
            return False
        reading = asyncio.create_task(self._misreadings())
        try:
            while not reading.done():
                await asyncio.wait({reading}, timeout=YIELD_POLL_S)
                if self._pipeline.scheduler.waiting:
                    return False
        finally:
            reading.cancel()
        self._record_result(model, await reading)
        self._checked_state = state
        return True

    def _busy(self) -> bool:
        return bool(self._pipeline.scheduler.running or self._pipeline.scheduler.waiting)

    async def _misreadings(self) -> list[str]:
        """The test images that were misread, one phrase each."""
        faults = []
        for probe in probes():
            said = await self._run_probe(probe)
            if re.findall(r"\d+", said) != list(probe.numbers):
                numbers = " and ".join(probe.numbers)
                faults.append(f"{numbers} as {said.strip()[:MAX_QUOTED_CHARACTERS]!r}")
        return faults

    async def _run_probe(self, probe: CanaryProbe) -> str:
        """The answer to a probe, neither cached nor shared."""
        said: list[str] = []

        async def on_event(event: Event) -> None:
            if isinstance(event, Done):
                said.append(event.answer.text)

        request = VqaRequest(question=[probe.question], language="en")
        context = RequestContext("canary", key="canary", no_store=True)
        await self._pipeline.run(vqa.TASK, request, probe.files, context, on_event)
        return "".join(said)

    def _record_result(self, model: Model, faults: list[str]) -> None:
        model.observed.warning = ""
        if faults:
            model.observed.faults["canary"] += 1
            model.observed.warning = (
                f"{model.name} on Ollama {model.daemon.version} misreads the test images: it read "
                f"{' and '.join(faults)}. Update Ollama, go back to a version that read them "
                "correctly, or pull the model again."
            )
            log.warning("test images misread", detail=model.observed.warning)
