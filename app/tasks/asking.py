"""Runs the model calls of a plan through the scheduler and the engine, and emits the answer."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

from app.context import RequestContext
from app.engine.events import Cut, Say, Text, Thinking
from app.engine.gate import Gate, Ticket
from app.engine.generate import Answered, generate
from app.engine.ollama import Ollama
from app.engine.watch import Watch
from app.errors import ContextOverflow, DeadlineExceeded, Problem, Unheld
from app.images.picture import Prepared
from app.models.tokens import Cost
from app.tasks.events import Delta, Piece, Queued, Reasoning
from app.tasks.job import Job
from app.tasks.order import in_order
from app.tasks.prepared import PreparedPictures
from app.tasks.reader import Part
from app.tasks.record import Record
from app.tasks.task import Ask, Group

LACKING = (
    "The engine counted {counted} tokens, but {planned} were sent: it dropped an image or merged "
    "two. Do not rely on this answer. Run `python -m app doctor` for details."
)
UNHELD = "The engine cannot enforce this schema; the answer was only validated against it."

# Seconds after the deadline at which a client that does not read its answer loses its slot. (The
# engine is stopped at the deadline.)
UNREAD_S = 0.5
UNREAD = "The answer was not read within REQUEST_TIMEOUT_S ({:g} s). Read the stream as it arrives."


@dataclass(slots=True)
class Asking:
    """The execution of one plan. It fills `record`."""

    job: Job
    record: Record
    prepared: PreparedPictures
    gate: Gate
    ollama: Ollama
    context: RequestContext

    async def fingerprint(self, key: str) -> bytes:
        """The cache key: equal for requests with the same answer. Files must be decoded.

        Args:
            key: hash of the API key. Answers are shared only within one key.
        """
        job = self.job
        told = [
            (key, job.task.name, job.model.name, job.model.digest, job.model.note),
            job.request.model_dump_json(exclude={"model", "stream"}),
            [info.model_dump_json() for info in job.infos],
        ]
        files = {picture.index: picture.data for picture in job.pictures if picture.page}
        seen = [
            (await self.prepared.coming(job, position)).base64
            for position, picture in enumerate(job.pictures)
            if picture.page is None
        ]
        return await self.prepared.decoder.digest([repr(told).encode(), *files.values(), *seen])

    async def all(self, say: Say[Piece]) -> None:
        """Run all groups and emit their events in order. The next group is decoded and queued while
        the slots are busy.

        Raises:
            Problem: a group failed that may not fail, or all did.
        """
        groups = self.job.groups
        firsts = accumulate(map(len, groups), initial=0)
        works = [
            partial(self._group, group, first) for group, first in zip(groups, firsts, strict=False)
        ]
        await in_order(works, self.gate.slots + 1, say)
        if len(self.record.failures) == len(groups):
            raise next(iter(self.record.failures.values()))

    async def _group(self, group: Group, first: int, say: Say[Piece]) -> None:
        """Run one group, whose parts in the record start at `first`. The failure of one page of
        several is recorded, and the other pages continue."""
        shown = [self.job.pictures[position] for position in group[0].pictures]
        try:
            await self._turns(group, first, say)
        except Problem as problem:
            if not shown or shown[0].page is None or len(self.job.groups) == 1:
                raise
            self.record.failures[first] = problem

    async def _turns(self, group: Group, first: int, say: Say[Piece]) -> None:
        """Run the model calls of a group. Each group has a deadline of its own, because a long
        document is many short answers."""
        if group[0].known is not None:
            part = self.record.parts[first]
            await say(self._placed(group[0], part.take(group[0].known) + part.end()))
            return
        limit_s = self.job.settings.request_timeout_s
        deadline = asyncio.get_running_loop().time() + limit_s
        images = await self.prepared.get(self.job, group[0].pictures, deadline)
        self.record.notes += [note for image in images for note in image.warnings]
        within_s = deadline - asyncio.get_running_loop().time()
        with self.gate.enter(self.context.client, within_s) as ticket:
            self.context.ticket = self.context.ticket or ticket
            try:
                async with asyncio.timeout_at(deadline + UNREAD_S) as limit:
                    if not ticket.granted:
                        # Positions of later pages would be emitted too late to matter.
                        await self._wait(ticket, deadline, say if first == 0 else None)
                    self.record.queue_ms = max(self.record.queue_ms, ticket.waited_ms)
                    for number, ask in enumerate(group, first):
                        await self._turn(ask, self.record.parts[number], images, deadline, say)
            except TimeoutError:
                if not limit.expired():
                    raise
                raise DeadlineExceeded(UNREAD.format(limit_s), partial="") from None

    async def _wait(self, ticket: Ticket, deadline: float, say: Say[Queued] | None) -> None:
        """Wait until the ticket has a slot, and emit its positions."""
        async with aclosing(self.gate.places(ticket)) as places:
            with Watch(deadline) as watch:
                while (place := await watch.wait(anext(places, None))) is not None:
                    if say:
                        await say(Queued(place.position, round(place.eta_ms)))

    async def _turn(
        self, ask: Ask, part: Part, images: list[Prepared], deadline: float, say: Say[Piece]
    ) -> None:
        r"""Run one model call, and a correction if its reader requests one. If the engine has no
        grammar for the format (such as a `pattern` with `\d`), the prompt contains the schema."""
        ask = await self._ask_held(ask, part, images, deadline, say)
        answer = part.reader.raw()
        whole = self.record.ends[-1].finish_reason == "stop"
        if whole and (fault := part.reader.again()):
            await self._ask_held(ask.corrected(answer, fault), part, images, deadline, say)
        if text := part.end():
            await say(self._placed(ask, text))

    async def _ask_held(
        self, ask: Ask, part: Part, images: list[Prepared], deadline: float, say: Say[Piece]
    ) -> Ask:
        """Run a model call, again without its format if the engine cannot enforce that. Returns
        the call that was answered."""
        try:
            await self._ask(ask, part, images, deadline, say)
        except Unheld:
            ask = ask.unheld()
            self.record.notes.append(UNHELD)
            await self._ask(ask, part, images, deadline, say)
        return ask

    async def _ask(
        self, ask: Ask, part: Part, images: list[Prepared], deadline: float, say: Say[Piece]
    ) -> None:
        cost, estimator = self.job.cost(ask), self.job.model.estimator
        planned = estimator.predict(cost)
        self.record.estimated_tokens += planned

        async def take(event: Answered) -> None:
            match event:
                case Text():
                    if text := part.take(event.text):
                        await say(self._placed(ask, text))
                case Cut():
                    part.cut(event.characters)
                case Thinking() if self.job.request.think:
                    await say(Reasoning(event.text))

        prompt = self.job.prompt(ask, [image.base64 for image in images])
        try:
            ended = await generate(self.ollama, prompt, deadline, take)
        except ContextOverflow as overflow:
            estimator.learn(cost, int(overflow.extra.get("engine_tokens", 0)))
            raise
        self.record.ends.append(ended)
        if self.job.model.daemon.counts_whole:
            self._compare(cost, planned, ended.asked_tokens)

    def _compare(self, cost: Cost, planned: int, counted: int) -> None:
        """Learn from the engine's token count, and warn if an image did not reach the model."""
        model = self.job.model
        if not model.estimator.lacks_images(cost, counted):
            model.estimator.learn(cost, counted)
            return
        self.record.notes.append(LACKING.format(counted=counted, planned=planned))
        self.record.lacks_images = True
        model.observed.faults["lost_image"] += 1
        if model.separation == "tags" and cost.images > 1:
            model.observed.tags_separate = False

    def _placed(self, ask: Ask, text: str) -> Delta:
        """A piece of the answer with its question, page and image."""
        if len(ask.pictures) != 1:
            return Delta(text, question=ask.question)
        picture = self.job.pictures[ask.pictures[0]]
        files = self.job.pictures[-1].index + 1
        return Delta(
            text,
            question=ask.question,
            page=picture.page,
            image=picture.index if files > 1 else None,
        )
