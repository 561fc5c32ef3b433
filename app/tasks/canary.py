"""Canary: known pictures, read once in the background after the engine or the model changed.

An update of Ollama has broken pictures more than once without an error: two of one size became one,
a floor of tokens blew small ones up. A number that lies on its side, and two numbers on pictures of
one size, show that pictures reach the model whole, upright and apart.
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

FIRST_S = 5.0  # after the start
EVERY_S = 30.0
LOOK_S = 0.1  # how soon a waiting client is seen
PICTURES = Path(__file__).parent / "canary_pictures"
MOST_QUOTED = 80  # characters
EMBEDDED = "embedded"  # in the version of an engine that knows nothing of turned pictures


@dataclass(frozen=True, slots=True)
class Probe:
    """Pictures, what is asked about them, and the numbers that the answer must hold in order."""

    files: tuple[bytes, ...]
    question: str
    numbers: tuple[str, ...]


def probes() -> tuple[Probe, ...]:
    """The pictures, one of which lies on its side (drawn by `tools.canary`)."""
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
    """Reads the pictures on an idle engine that has the model loaded, and gives way to clients.
    What is wrong stands in `Model.observed`."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._read: tuple[str, str, str] | None = None  # model, digest, version

    async def watch(self) -> None:
        """Look again and again, until it is cancelled."""
        await asyncio.sleep(FIRST_S)
        while True:
            with suppress(Problem):
                await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> bool:
        """Whether the pictures were read now: something changed, and nobody was in the way.

        Raises:
            Problem: the engine did not answer; it is tried again the next time.
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
        """What was misread."""
        faults = []
        for probe in probes():
            said = await self._ask(probe)
            if re.findall(r"\d+", said) != list(probe.numbers):
                numbers = " and ".join(probe.numbers)
                faults.append(f"{numbers} as {said.strip()[:MOST_QUOTED]!r}")
        return faults

    async def _ask(self, probe: Probe) -> str:
        """The answer; it is neither kept nor shared."""
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
                f"{model.name} on Ollama {model.daemon.version} misreads known pictures: it read "
                f"{' and '.join(faults)}. Update Ollama, go back to the version that read them, or "
                "pull the model anew."
            )
            log.warning("known pictures were misread", detail=model.observed.warning)
