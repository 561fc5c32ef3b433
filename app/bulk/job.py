"""One file of a run, from its bytes to its line: asked as often as it takes, within a bound."""

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.bulk.fleet import Fleet, is_gone
from app.bulk.lane import Lane
from app.client.form import Image, is_address
from app.client.problem import ServerProblem

FAILURES = 4  # attempts that may fail in the middle: then it is likely the file that does it
PAUSE_S = 1.0  # after the first of them; then twice as long each time
# What is wrong with the request as a whole, and so with every file's.
ABOUT_ALL = frozenset({"unauthorized", "model_not_found", "invalid_request", "invalid_parameter"})


class Wrong(Exception):
    """What is asked cannot be answered about any file."""

    def __init__(self, problem: ServerProblem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of every file: one task, with these fields.

    patience_s: how long one file may be refused (429, 503) before that is its answer, in seconds.
    """

    task: str
    fields: Mapping[str, Any]
    patience_s: float

    @property
    def short(self) -> str:
        """By this a run knows that its file holds answers to the same."""
        told = json.dumps([self.task, self.fields], sort_keys=True)
        return f"{self.task}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file.

    sha256: of its bytes; None of an address, and where it could not be read.
    seconds: from its first attempt to its end; `asked_s` is the last attempt alone.
    """

    path: str
    sha256: str | None
    answer: dict[str, Any] | None
    error: dict[str, Any] | None
    server: str | None
    attempts: int
    seconds: float
    asked_s: float

    def line(self, task: str, asked: str) -> dict[str, Any]:
        """As it is kept; `path` is first."""
        return {
            "path": self.path,
            "sha256": self.sha256,
            "task": task,
            "asked": asked,
            "error": self.error,
            "answer": self.answer,
            "server": self.server,
            "timings": {
                "attempts": self.attempts,
                "request_ms": round(self.asked_s * 1e3, 1),
                "total_ms": round(self.seconds * 1e3, 1),
            },
        }


def failed(path: str, code: str, detail: str) -> Outcome:
    """A file that nobody was asked about."""
    return Outcome(path, None, None, {"code": code, "detail": detail}, None, 0, 0.0, 0.0)


async def do(path: str, ask: Ask, fleet: Fleet, *, proven: bool) -> Outcome:
    """Ask about one file, and ask again where that may help.

    Args:
        proven: whether another file was answered already, so that a problem is this one's own.

    Raises:
        Wrong: no file will be answered.
        NobodyLeft: there is no server any more.
    """
    try:
        image, digest = await asyncio.to_thread(_read, path)
    except OSError as error:
        return failed(path, "unreadable_file", f"It cannot be read: {error.strerror}.")
    begun = time.monotonic()
    attempts = failures = 0
    refused_at = 0.0
    while True:
        async with fleet.lane() as lane:
            sent = time.monotonic()
            answer, problem = await _attempt(image, ask, fleet, lane)
        now = time.monotonic()
        attempts += 1
        again = False
        if problem is None:
            pass
        elif is_gone(problem):
            attempts -= 1  # it never got there
            again = True
        elif problem.refused:
            refused_at = refused_at or now
            again = now - refused_at < ask.patience_s
        elif problem.temporary:
            failures += 1
            if again := failures < FAILURES:
                await asyncio.sleep(PAUSE_S * 2 ** (failures - 1))
        elif problem.status == 401 or (problem.code in ABOUT_ALL and not proven):
            raise Wrong(problem)
        if not again:
            wrong = problem.body if problem else None
            took = (now - begun, now - sent)
            return Outcome(path, digest, answer, wrong, lane.url, attempts, *took)


async def _attempt(
    image: Image, ask: Ask, fleet: Fleet, lane: Lane
) -> tuple[dict[str, Any] | None, ServerProblem | None]:
    """The answer, or why there is none; the server's lane learns from it."""
    sent = time.monotonic()
    try:
        answer = await fleet.clients[lane.url].ask(ask.task, [image], ask.fields)
    except ServerProblem as problem:
        if is_gone(problem):
            fleet.set_aside(lane, problem)
        elif problem.refused:
            fleet.refused(lane, sent, problem)
        return None, problem
    lane.answered()
    return answer, None


def _read(path: str) -> tuple[Image, str | None]:
    """What to send, and its hash."""
    if is_address(path):
        return path, None
    data = Path(path).read_bytes()
    return data, hashlib.sha256(data).hexdigest()
