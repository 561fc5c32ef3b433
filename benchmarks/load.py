"""Mixed requests to a server, and how each of them ended."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import httpx

from tests.pictures import encoded, scene, text_pdf

EXAMPLES = Path(__file__).parents[1] / "examples"
LAST_LINE = "\n["  # begins the line that says why a text was cut


class Manner(Enum):
    """How a client behaves."""

    PATIENT = "patient"
    SLOW = "slow to read"
    LEAVES = "leaves in the middle"
    LEAVES_SENDING = "leaves while sending"


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: `file` is its image, `accept` and `stream` say in which form it is answered."""

    task: str
    file: bytes | None
    fields: Mapping[str, str]
    accept: str = "*/*"
    manner: Manner = Manner.PATIENT
    kept: bool = True  # whether its answer may be a kept one
    patience_s: float = 0.0  # of one who leaves


@dataclass(frozen=True, slots=True)
class Ended:
    """How a request ended: `answer`, `left`, a problem's code, or `LOST` and `hung` with `why`."""

    how: str
    why: str = ""


FORMS: tuple[tuple[dict[str, str], str], ...] = (
    ({}, "*/*"),
    ({"stream": "true"}, "*/*"),
    ({"stream": "true"}, "application/x-ndjson"),
    ({}, "text/plain"),
)
MANNERS = [Manner.PATIENT] * 6 + [Manner.SLOW] + [Manner.LEAVES] * 2 + [Manner.LEAVES_SENDING]


@dataclass(slots=True)
class Mix:
    """Draws requests: from a fixed stock of files, so that what is kept of them is bounded.

    Args:
        models: those that answer; the first one mostly.
    """

    models: tuple[str, ...]
    draw: random.Random
    files: list[bytes] = field(default_factory=list)
    broken: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.files = [
            *((EXAMPLES / name).read_bytes() for name in ("photo.jpg", "table.png", "letter.pdf")),
            (EXAMPLES / "receipt_ko.png").read_bytes(),
            *(encoded(scene(side, side)) for side in (16, 64, 300)),
            encoded(scene(4000, 3000), quality=92),
            encoded(scene(2000, 200), "PNG"),
            text_pdf([f"Page {number}\nof a letter" for number in range(1, 5)]),
        ]
        photo = self.files[0]
        self.broken = [b"", b"no picture", photo[: len(photo) // 3]]

    def ask(self) -> Ask:
        task = self.draw.choice(("describe", "ocr", "vqa"))
        form, accept = self.draw.choice(FORMS)
        fields = dict(form)
        if task == "vqa":
            fields["question"] = self.draw.choice(("What is it?", "합계는 얼마인가요?"))
        if self.draw.random() < 0.1:
            fields["model"] = self.draw.choice(self.models)
        if self.draw.random() < 0.3:
            fields["max_tokens"] = str(self.draw.choice((5, 60)))
        file: bytes | None = self.draw.choice(self.files)
        if self.draw.random() < 0.1:
            file, fields = self._bad(file, fields)
        return Ask(
            task,
            file,
            fields,
            accept,
            self.draw.choice(MANNERS),
            kept=self.draw.random() < 0.3,
            patience_s=self.draw.uniform(0, 0.6),
        )

    def _bad(
        self, file: bytes | None, fields: dict[str, str]
    ) -> tuple[bytes | None, dict[str, str]]:
        match self.draw.randrange(4):
            case 0:
                return None, fields
            case 1:
                return self.draw.choice(self.broken), fields
            case 2:
                return file, {**fields, "model": "nobody"}
            case _:
                return file, {**fields, "temperature": "hot", "pages": "9-1"}


async def ended(client: httpx.AsyncClient, ask: Ask, deadline_s: float) -> Ended:
    """Do it. A client who leaves does so by closing its connection."""
    leaves = ask.manner in (Manner.LEAVES, Manner.LEAVES_SENDING)
    try:
        async with asyncio.timeout(ask.patience_s if leaves else deadline_s):
            return await _answer(client, ask)
    except TimeoutError:
        return Ended("left") if leaves else Ended("hung", f"{ask.task} over {deadline_s:g} s")


async def _answer(client: httpx.AsyncClient, ask: Ask) -> Ended:
    request = _request(client, ask)
    said = b""
    try:
        response = await client.send(request, stream=True)
        try:
            async for piece in response.aiter_raw():
                said += piece
                if ask.manner is Manner.SLOW:
                    await asyncio.sleep(0.05)
        finally:
            await response.aclose()
    except httpx.TransportError as error:
        if ask.accept == "text/plain" and said and (code := _cut(said.decode(errors="replace"))):
            return Ended(code)
        return Ended("LOST", f"{ask.task} as {ask.accept}: {error!r} after {said[-200:]!r}")
    how = _judged(response, said.decode())
    if how in ("", "internal_error"):
        return Ended("LOST", f"{ask.task} as {ask.accept}: {response.status_code} {said[-300:]!r}")
    return Ended(how)


def _request(client: httpx.AsyncClient, ask: Ask) -> httpx.Request:
    headers = {"Accept": ask.accept}
    if not ask.kept:
        headers["Cache-Control"] = "no-store"
    files = {"image": ("file", ask.file)} if ask.file is not None else None
    whole = client.build_request(
        "POST", f"/v1/{ask.task}", data=dict(ask.fields), files=files, headers=headers
    )
    if ask.manner is not Manner.LEAVES_SENDING:
        return whole
    return client.build_request(
        "POST", whole.url, headers=whole.headers, content=_half(whole.read())
    )


async def _half(body: bytes) -> AsyncIterator[bytes]:
    """The first half of a body, and then nothing more."""
    yield body[: len(body) // 2]
    await asyncio.Event().wait()


def _judged(response: httpx.Response, said: str) -> str:
    """`answer`, or the code of the problem; empty where it is neither."""
    kind = response.headers.get("content-type", "").partition(";")[0]
    try:
        if response.status_code != 200:
            return str(json.loads(said)["code"]) if kind == "application/problem+json" else ""
        match kind:
            case "text/event-stream":
                last, _, data = said.rstrip("\n").rpartition("\n\n")[2].partition("\n")
                return _last(last.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
            case "application/x-ndjson":
                event = json.loads(said.rstrip("\n").rpartition("\n")[2])
                return _last(event["event"], event)
            case "text/plain":
                return "answer" if said.endswith("\n") else ""
            case _:
                return "answer" if "text" in json.loads(said) else ""
    except (ValueError, KeyError, IndexError):
        return ""


def _last(name: str, data: dict[str, object]) -> str:
    return {"done": "answer", "error": str(data.get("code", ""))}.get(name, "")


def _cut(said: str) -> str:
    """The code in the last line of a text that was cut."""
    _, found, line = said.rstrip("\n").rpartition(LAST_LINE)
    return line.partition("]")[0] if found and said.endswith("\n") else ""
