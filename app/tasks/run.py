"""The line: a request's images are prepared, its turns are asked, its answer is one stream."""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from app.engine.events import Delta, Done, Event, Generated, Reasoning, Start
from app.engine.gate import Gate
from app.engine.generate import generate
from app.engine.ollama import Ollama
from app.engine.registry import Registry
from app.errors import InvalidParameter, InvalidRequest, Problem
from app.images.decode import Bounds, Prepared, prepare
from app.schemas import TaskRequest
from app.settings import Settings
from app.tasks.job import Job
from app.tasks.record import Record
from app.tasks.task import Task


@dataclass(frozen=True)
class Line:
    """What every request passes through; `threads` bounds decoding to the cores."""

    settings: Settings
    ollama: Ollama
    registry: Registry
    gate: Gate
    threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(os.cpu_count() or 1, "images")
    )

    async def run(
        self, task: Task, request: TaskRequest, files: Sequence[bytes], request_id: str
    ) -> AsyncGenerator[Event, None]:
        """Answer one request; ends with `Done`.

        Raises:
            Problem: whatever ends it; where text was already out, it is in `partial`.
        """
        record = Record()
        deadline = asyncio.get_running_loop().time() + self.settings.request_timeout_s
        self._check_count(files)
        model = await self.registry.seeing(request.model)
        asks = task.asks(request, len(files), self.settings.default_language)
        job = Job(task, request, model, asks, self.settings)
        images = await self._prepare(job, files)
        record.prepare_ms = record.elapsed_ms()
        yield Start(request_id, task.name, model.name, tuple(image.info for image in images))
        try:
            async with (
                self.gate.slot() as record.queue_ms,
                aclosing(self._ask(job, images, record, deadline)) as events,
            ):
                async for event in events:
                    yield event
        except Problem as problem:
            if "partial" in problem.extra:
                problem.extra["partial"] = record.text()
            raise
        yield Done(record.answer(request_id, job, images))

    def _check_count(self, files: Sequence[bytes]) -> None:
        limit = self.settings.max_images
        if not files:
            raise InvalidRequest(
                "There is no image. Send one or more in the field `image`.", parameter="image"
            )
        if len(files) > limit:
            raise InvalidParameter(
                f"{len(files)} images are too many; at most {limit} are taken at once.",
                parameter="image",
            )

    async def _prepare(self, job: Job, files: Sequence[bytes]) -> list[Prepared]:
        """All images of the request, in threads, in their order."""
        megapixels = self.settings.max_image_megapixels
        bounds = Bounds(megapixels, job.model.cell, job.image_tokens(len(files)))
        run = asyncio.get_running_loop().run_in_executor
        return await asyncio.gather(
            *(run(self.threads, prepare, data, i, bounds) for i, data in enumerate(files))
        )

    async def _ask(
        self, job: Job, images: Sequence[Prepared], record: Record, deadline: float
    ) -> AsyncGenerator[Delta | Reasoning, None]:
        """Every turn, one after another, into the record."""
        several = len(job.asks) > 1
        for ask in job.asks:
            record.parts.append("")
            prompt = job.prompt(ask, images)
            async with aclosing(generate(self.ollama, prompt, deadline)) as events:
                async for event in events:
                    match event:
                        case Delta():
                            record.parts[-1] += event.text
                            image = ask.image if several else None
                            yield replace(event, question=ask.question, image=image)
                        case Reasoning():
                            yield event
                        case Generated():
                            record.ends.append(event)
