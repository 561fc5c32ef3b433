"""The pipeline: plans a request, runs its model calls and emits one stream of events."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from app.context import RequestContext
from app.engine.client import OllamaClient
from app.engine.deadline import Watchdog
from app.engine.events import Emit
from app.engine.registry import ModelRegistry
from app.engine.scheduler import Scheduler
from app.errors import InvalidRequest, Problem
from app.images.decoder import Decoder
from app.images.picture import Picture
from app.images.sources import check_image_count
from app.pipeline.cache import AnswerCache
from app.pipeline.events import AnswerEvent, Done, Event, Start
from app.pipeline.executor import PlanExecutor
from app.pipeline.plan import RequestPlan
from app.pipeline.prepared import PreparedPictures
from app.pipeline.result import ResultBuilder
from app.schemas import TaskRequest
from app.settings import Settings
from app.tasks.parsers.base import AnswerPart
from app.tasks.task import Task

INLINE_JOIN_CHARACTERS = 50_000  # joined in the event loop; longer documents are joined in a thread
MODEL_LOAD_MS = 100.0  # a loaded model reports about 1 ms (docs/OLLAMA_FACTS.md)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The pipeline of every request."""

    settings: Settings
    registry: ModelRegistry
    decoder: Decoder
    scheduler: Scheduler
    ollama: OllamaClient
    answer_cache: AnswerCache

    async def run(
        self,
        task: Task,
        request: TaskRequest,
        files: Sequence[bytes],
        context: RequestContext,
        emit: Emit[Event],
    ) -> None:
        """Answer one request. The first event is `Start`, the last is `Done`.

        Args:
            files: bytes of the uploads. No reference to them is kept after they are decoded, so
                that their memory is free if the caller keeps none either.

        Raises:
            Problem: the request failed. `partial` has the text that was already emitted.
        """
        result = ResultBuilder()
        self.ollama.breaker.check()  # refuse at once while the engine is unreachable
        self._check_image_count(files, task)
        deadline = asyncio.get_running_loop().time() + self.settings.request_timeout_s
        received_bytes = sum(map(len, files))
        find_model = self.registry.find_vision if files else self.registry.find
        pictures = await self._probe_files(files, request.pages, context.client, deadline)
        del files
        planned = RequestPlan.build(
            task, request, await find_model(request.model), self.settings, pictures
        )
        prepared = PreparedPictures(self.decoder, context.client)
        try:
            plan = await prepared.decode_files(planned, deadline)
        except BaseException:
            prepared.close()
            raise
        del pictures, planned
        result.parts = [AnswerPart(call.parser()) for group in plan.groups for call in group]
        executor = PlanExecutor(plan, result, prepared, self.scheduler, self.ollama, context)
        result.prepare_ms = result.elapsed_ms()
        if context.upload:
            held_bytes = sum({one.index: len(one.data) for one in plan.pictures}.values())
            context.upload.shrink(received_bytes - held_bytes)
        await self._answer(executor, context, emit)

    async def _answer(
        self, executor: PlanExecutor, context: RequestContext, emit: Emit[Event]
    ) -> None:
        """Emit the answer: cached, shared with a running equal request, or generated."""
        result, plan = executor.result, executor.plan
        key = b"" if context.no_store else await executor.cache_key(context.key)
        if not self.answer_cache.contains(key) and not plan.is_known():
            # Refuse before the stream starts: `enqueue` checks again after `Start`.
            self.scheduler.check_capacity(self.settings.request_timeout_s)
        await emit(Start(context.request_id, plan.task.name, plan.model.name, plan.image_infos))
        generate = partial(self._generate, executor, context.request_id)
        if not key:
            await generate(emit)
            return

        async def emit_with_own_id(event: AnswerEvent) -> None:
            if isinstance(event, Done) and event.answer.cached:
                event = Done(result.as_cached(event.answer, context.request_id))
            await emit(event)

        await self.answer_cache.emit_answer(key, generate, emit_with_own_id)

    async def _probe_files(
        self, files: Sequence[bytes], pages: str | None, client: str, deadline: float
    ) -> tuple[Picture, ...]:
        """The pictures of the files: one for each image, and one for each page of a document. If
        all files are small and passed through, no worker process is needed."""
        pictures = self.decoder.probe_inline(files, pages)
        if pictures is None:
            with Watchdog(deadline) as watchdog:
                pictures = await watchdog.wait(self.decoder.probe(files, pages, client))
        return pictures

    async def _generate(
        self, executor: PlanExecutor, request_id: str, emit: Emit[AnswerEvent]
    ) -> None:
        """Generate the answer and emit it."""
        result, plan = executor.result, executor.plan
        try:
            await executor.run(emit)
        except Problem as problem:
            if "partial" in problem.extra:
                problem.extra["partial"] = result.text()
            raise
        finally:
            executor.prepared.close()
        if result.load_ms() > MODEL_LOAD_MS:
            await self._check_placement(plan.model.name, result)
        if sum(len(part.text) for part in result.parts) > INLINE_JOIN_CHARACTERS:
            answer = await asyncio.to_thread(result.build, request_id, plan)
        else:
            answer = result.build(request_id, plan)
        await emit(Done(answer, result.cacheable(plan)))

    async def _check_placement(self, name: str, result: ResultBuilder) -> None:
        """Add a warning if the model that was just loaded is not entirely on the GPU. A failure of
        this check is ignored, because the answer is complete."""
        with suppress(Problem):
            placement = await self.registry.placement(name)
            if placement and placement.warning:
                result.warnings.append(placement.warning)

    def _check_image_count(self, files: Sequence[bytes], task: Task) -> None:
        if not files and task.needs_images:
            raise InvalidRequest(
                "The request has no image. Send it in the field `image`.", parameter="image"
            )
        check_image_count(len(files), self.settings.max_images)
