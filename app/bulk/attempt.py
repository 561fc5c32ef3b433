"""One file of a batch, from its bytes to its result, with a bounded number of attempts."""

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.bulk.concurrency_limit import ConcurrencyLimit
from app.bulk.server_pool import ServerPool, is_server_down
from app.client.problem import ServerProblem
from app.client.request_body import Image, is_url

MAX_FAILURES = 4  # failed attempts, after which the file is likely the cause
RETRY_PAUSE_S = 1.0  # after the first failure; doubled after each
# Errors of the request, which all files would get.
TASK_ERRORS = frozenset({"unauthorized", "model_not_found", "invalid_request", "invalid_parameter"})


class TaskRejected(Exception):
    """The server rejects the request for every file."""

    def __init__(self, problem: ServerProblem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """The task of a batch and its fields, the same for every file.

    patience_s: how long to retry a file that is refused (429, 503), in seconds.
    """

    task: str
    fields: Mapping[str, Any]
    patience_s: float

    @property
    def fingerprint(self) -> str:
        """Identifies the task and its fields in the results file."""
        described = json.dumps([self.task, self.fields], sort_keys=True)
        return f"{self.task}-{hashlib.sha256(described.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a file.

    sha256: of its bytes; None for a URL or an unreadable file.
    seconds: from the first attempt to the end; `request_s` is the last attempt alone.
    """

    path: str
    sha256: str | None
    answer: dict[str, Any] | None
    error: dict[str, Any] | None
    server: str | None
    attempts: int
    seconds: float
    request_s: float

    def to_record(self, task: str, fingerprint: str) -> dict[str, Any]:
        """The line of the results file; `path` must be first."""
        return {
            "path": self.path,
            "sha256": self.sha256,
            "task": task,
            "asked": fingerprint,
            "error": self.error,
            "answer": self.answer,
            "server": self.server,
            "timings": {
                "attempts": self.attempts,
                "request_ms": round(self.request_s * 1e3, 1),
                "total_ms": round(self.seconds * 1e3, 1),
            },
        }


def failure(path: str, code: str, detail: str) -> Outcome:
    """The result of a file for which no request was sent."""
    return Outcome(path, None, None, {"code": code, "detail": detail}, None, 0, 0.0, 0.0)


async def process(path: str, spec: TaskSpec, pool: ServerPool, *, any_answered: bool) -> Outcome:
    """Run the task on one file, with retries where they may help.

    Args:
        any_answered: another file was answered, so the request itself is valid.

    Raises:
        TaskRejected: the server rejects the request for every file.
        NoServerLeft: all servers are down.
    """
    try:
        image, digest = await asyncio.to_thread(_read, path)
    except OSError as error:
        return failure(path, "unreadable_file", f"The file cannot be read: {error.strerror}.")
    started = time.monotonic()
    attempts = failures = 0
    refused_at = 0.0
    while True:
        async with pool.acquire() as limit:
            sent = time.monotonic()
            answer, problem = await _attempt(image, spec, pool, limit)
        now = time.monotonic()
        attempts += 1
        retry = False
        if problem is None:
            pass
        elif is_server_down(problem):
            attempts -= 1  # the server did not get it
            retry = True
        elif problem.refused:
            refused_at = refused_at or now
            retry = now - refused_at < spec.patience_s
        elif problem.temporary:
            failures += 1
            if retry := failures < MAX_FAILURES:
                await asyncio.sleep(RETRY_PAUSE_S * 2 ** (failures - 1))
        elif problem.status == 401 or (problem.code in TASK_ERRORS and not any_answered):
            raise TaskRejected(problem)
        if not retry:
            body = problem.body if problem else None
            took = (now - started, now - sent)
            return Outcome(path, digest, answer, body, limit.url, attempts, *took)


async def _attempt(
    image: Image, spec: TaskSpec, pool: ServerPool, limit: ConcurrencyLimit
) -> tuple[dict[str, Any] | None, ServerProblem | None]:
    """One attempt: the answer or the problem. Updates the server's concurrency limit."""
    sent = time.monotonic()
    try:
        answer = await pool.clients[limit.url].ask(spec.task, [image], spec.fields)
    except ServerProblem as problem:
        if is_server_down(problem):
            pool.mark_down(limit, problem)
        elif problem.refused:
            pool.on_refusal(limit, sent, problem)
        return None, problem
    limit.on_answer()
    return answer, None


def _read(path: str) -> tuple[Image, str | None]:
    """The image to send and its SHA-256; a URL is sent as it is, without a hash."""
    if is_url(path):
        return path, None
    data = Path(path).read_bytes()
    return data, hashlib.sha256(data).hexdigest()
