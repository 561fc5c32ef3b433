"""Sends the requests of a comparison to each model, one at a time, and measures them."""

import io
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing

from PIL import Image

from app.client.client import Client
from app.client.problem import ServerProblem
from app.client.request_body import Image as File
from app.compare.questions import Question
from app.compare.report import ModelResult, QuestionResult, Report, Run

WARM = {"max_tokens": 16}
# Errors of the server or the client, not of a model: they end the comparison.
GENERAL = {"engine_unavailable", "draining", "unauthorized", "rate_limited", "queue_full"}


async def compare(
    client: Client,
    report: Report,
    models: Sequence[str],
    on_step: Callable[[ModelResult, int], None],
) -> None:
    """Fill the report, model by model, so that each is loaded once.

    Each round covers all questions, because the engine caches the image of the previous request.

    Args:
        on_step: called after each step of a model with the number of steps (of `steps`).

    Raises:
        ServerProblem: the server or its engine does not answer.
    """
    for name in models:
        model_result = ModelResult(name)
        report.models.append(model_result)
        if not await _loaded(client, model_result):
            on_step(model_result, steps(report))
            continue
        on_step(model_result, 1)
        model_result.cells = [QuestionResult(question) for question in report.questions]
        for _ in range(report.repeat):
            for cell in model_result.cells:
                if not cell.problem:
                    await _measured(client, name, cell)
                on_step(model_result, 1)
    report.complete = True


def steps(report: Report) -> int:
    """Number of requests per model."""
    return 1 + report.repeat * len(report.questions)


async def _loaded(client: Client, model_result: ModelResult) -> bool:
    """Send the first request, which loads the model; return whether it answered."""
    try:
        began = time.perf_counter()
        first = await client.ask("describe", [_picture()], {**WARM, "model": model_result.name})
        model_result.first_request_s = time.perf_counter() - began
        model_result.load_s = first["timings"]["load_ms"] / 1e3
        found = (await client.status(model_result.name)).get("model") or {}
    except ServerProblem as problem:
        if problem.unreachable or problem.code in GENERAL:
            raise
        model_result.problem = problem.detail
        return False
    model_result.vram_ratio = found.get("vram_ratio")
    model_result.num_ctx = found.get("num_ctx")
    model_result.digest = found.get("digest") or ""
    model_result.note = found.get("warning") or ""
    return True


async def _measured(client: Client, model: str, cell: QuestionResult) -> None:
    """Measure one more run. A question that fails is not sent again."""
    try:
        cell.runs.append(await _run(client, cell.question, model))
    except ServerProblem as problem:
        if problem.unreachable:
            raise
        cell.problem = problem.detail
    except OSError as error:
        cell.problem = f"The file cannot be read: {error.strerror}."


async def _run(client: Client, question: Question, model: str) -> Run:
    images: list[File] = [question.file.read_bytes()]
    began = time.perf_counter()
    first_s, done = None, {}
    fields = {**question.fields, "model": model}
    async with aclosing(client.stream(question.task, images, fields)) as events:
        async for event in events:
            if event.name == "delta" and first_s is None:
                first_s = time.perf_counter() - began
            elif event.name == "done":
                done = event.data
    total_s = time.perf_counter() - began
    return Run(
        first_s,
        total_s,
        done["timings"]["tokens_per_second"],
        done["usage"]["prompt_tokens"],
        done["usage"]["completion_tokens"],
        done["text"],
        done["finish_reason"] == "length",
        tuple(done["warnings"]),
    )


def _picture() -> bytes:
    """A small white image."""
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "white").save(out, "PNG")
    return out.getvalue()
