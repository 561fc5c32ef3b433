"""The line: a request's pictures are planned, its turns are asked, its answer is one stream."""

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

FEW_CHARACTERS = 50_000  # of pages that are joined at once; more go to a thread
LOADED_MS = 100.0  # a model that was there already reports about 1 ms (findings)


@dataclass(frozen=True, slots=True)
class Line:
    """What every request passes through."""

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
        """Answer one request: `Start` comes first, `Done` last.

        Args:
            files: no reference to them is kept longer than until they are decoded, so that their
                memory is free where the caller keeps none either.

        Raises:
            Problem: whatever ends it; where text was already out, it is in `partial`.
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
        """The answer: a kept one, that of an equal request which runs, or one of its own."""
        record, job = asking.record, asking.job
        key = b"" if context.no_store else await asking.fingerprint(context.key)
        if not self.answers.ready(key) and not job.known():
            self.gate.check(self.settings.request_timeout_s)  # else a stream would have begun
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
        """What the files hold."""
        pictures = self.decoder.probe_at_once(files, pages)
        if pictures is None:
            with Watch(deadline) as watch:
                pictures = await watch.wait(self.decoder.probe(files, pages, client))
        return pictures

    async def _work(self, asking: Asking, request_id: str, say: Say[Piece]) -> None:
        """Have the answer generated."""
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
        """The model was just loaded: tell where it is not all on the GPU. An engine that cannot
        say so now has still given its answer."""
        with suppress(Problem):
            verdict = await self.registry.placement(name)
            if verdict and verdict.warning:
                record.notes.append(verdict.warning)

    def _check_count(self, files: Sequence[bytes], task: Task) -> None:
        if not files and task.needs_images:
            raise InvalidRequest(
                "There is no image. Send one or more in the field `image`.", parameter="image"
            )
        check_number(len(files), self.settings.max_images)
