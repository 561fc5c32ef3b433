"""The pipeline: plans a request, runs its model calls and emits one stream of events."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from app.context import RequestContext
from app.engine.events import Say
from app.engine.gate import Gate
from app.engine.ollama import Ollama
from app.engine.registry import Registry
from app.engine.watch import Watch
from app.errors import InvalidRequest, Problem
from app.images.decoder import Decoder
from app.images.intake import check_number
from app.images.picture import Picture
from app.schemas import TaskRequest
from app.settings import Settings
from app.tasks.asking import Asking
from app.tasks.cache import Answers
from app.tasks.events import Done, Event, Piece, Start
from app.tasks.job import Job
from app.tasks.prepared import PreparedPictures
from app.tasks.reader import Part
from app.tasks.record import Record
from app.tasks.task import Task

FEW_CHARACTERS = 50_000  # joined in the event loop; longer documents are joined in a thread
LOADED_MS = 100.0  # a loaded model reports about 1 ms (docs/OLLAMA_FACTS.md)


@dataclass(frozen=True, slots=True)
class Line:
    """The pipeline of every request."""

    settings: Settings
    registry: Registry
    decoder: Decoder
    gate: Gate
    ollama: Ollama
    answers: Answers

    async def run(
        self,
        task: Task,
        request: TaskRequest,
        files: Sequence[bytes],
        context: RequestContext,
        say: Say[Event],
    ) -> None:
        """Answer one request. The first event is `Start`, the last is `Done`.

        Args:
            files: bytes of the uploads. No reference to them is kept after they are decoded, so
                that their memory is free if the caller keeps none either.

        Raises:
            Problem: the request failed. `partial` has the text that was already emitted.
        """
        record = Record()
        self.ollama.breaker.check()
        self._check_count(files, task)
        deadline = asyncio.get_running_loop().time() + self.settings.request_timeout_s
        received = sum(map(len, files))
        look_up = self.registry.seeing if files else self.registry.find
        pictures = await self._probed(files, request.pages, context.client, deadline)
        del files
        planned = Job.of(task, request, await look_up(request.model), self.settings, pictures)
        prepared = PreparedPictures(self.decoder, context.client)
        try:
            job = await prepared.decode_files(planned, deadline)
        except BaseException:
            prepared.close()
            raise
        del pictures, planned
        record.parts = [Part(ask.reader()) for group in job.groups for ask in group]
        asking = Asking(job, record, prepared, self.gate, self.ollama, context)
        record.prepare_ms = record.elapsed_ms()
        if context.upload:
            held = sum({one.index: len(one.data) for one in job.pictures}.values())
            context.upload.let_go(received - held)
        await self._answer(asking, context, say)

    async def _answer(self, asking: Asking, context: RequestContext, say: Say[Event]) -> None:
        """Emit the answer: cached, shared with a running equal request, or generated."""
        record, job = asking.record, asking.job
        key = b"" if context.no_store else await asking.fingerprint(context.key)
        if not self.answers.ready(key) and not job.known():
            self.gate.check(self.settings.request_timeout_s)  # refuse before the stream starts
        await say(Start(context.request_id, job.task.name, job.model.name, job.infos))
        make = partial(self._work, asking, context.request_id)
        if not key:
            await make(say)
            return

        async def say_as_ours(piece: Piece) -> None:
            if isinstance(piece, Done) and piece.answer.cached:
                piece = Done(record.taken_over(piece.answer, context.request_id))
            await say(piece)

        await self.answers.say(key, make, say_as_ours)

    async def _probed(
        self, files: Sequence[bytes], pages: str | None, client: str, deadline: float
    ) -> tuple[Picture, ...]:
        """The pictures of the files, each page of a document being one."""
        pictures = self.decoder.probe_at_once(files, pages)
        if pictures is None:
            with Watch(deadline) as watch:
                pictures = await watch.wait(self.decoder.probe(files, pages, client))
        return pictures

    async def _work(self, asking: Asking, request_id: str, say: Say[Piece]) -> None:
        """Generate the answer and emit it."""
        record, job = asking.record, asking.job
        try:
            await asking.all(say)
        except Problem as problem:
            if "partial" in problem.extra:
                problem.extra["partial"] = record.text()
            raise
        finally:
            asking.prepared.close()
        if record.load_ms() > LOADED_MS:
            await self._check_placement(job.model.name, record)
        if sum(len(part.text) for part in record.parts) > FEW_CHARACTERS:
            answer = await asyncio.to_thread(record.answer, request_id, job)
        else:
            answer = record.answer(request_id, job)
        await say(Done(answer, record.repeatable(job)))

    async def _check_placement(self, name: str, record: Record) -> None:
        """Add a warning if the model that was just loaded is not entirely on the GPU. A failure of
        this check is ignored, because the answer is complete."""
        with suppress(Problem):
            verdict = await self.registry.placement(name)
            if verdict and verdict.warning:
                record.notes.append(verdict.warning)

    def _check_count(self, files: Sequence[bytes], task: Task) -> None:
        if not files and task.needs_images:
            raise InvalidRequest(
                "The request has no image. Send it in the field `image`.", parameter="image"
            )
        check_number(len(files), self.settings.max_images)
