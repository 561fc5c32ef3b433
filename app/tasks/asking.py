"""A job on its way through the gate and the engine, and back as pieces of the answer."""

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
    "The engine counted {counted} tokens where {planned} of pictures and text were sent: it left a "
    "picture out, or took two for one. Do not rely on this answer; `python -m app doctor` tells "
    "more."
)
UNHELD = "The engine cannot be held to this schema: the answer was only checked against it."

# The engine is given up at the deadline; so much later a client is that does not read, and holds a
# slot by that.
UNREAD_S = 0.5
UNREAD = "The answer was not read within REQUEST_TIMEOUT_S ({:g} s). Read it as it comes."


@dataclass(slots=True)
class Asking:
    """One job, and what it fills: the record of its answer."""

    job: Job
    record: Record
    prepared: PreparedPictures
    gate: Gate
    ollama: Ollama
    context: RequestContext

    async def fingerprint(self, key: str) -> bytes:
        """What two requests with the same answer have in common; files must be decoded.

        Args:
            key: the API key's hash: answers are not shared beyond it.
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
        """Every group, in order; while some run, the next is decoded and queues."""
        groups = self.job.groups
        firsts = accumulate(map(len, groups), initial=0)
        works = [
            partial(self._group, group, first) for group, first in zip(groups, firsts, strict=False)
        ]
        await in_order(works, self.gate.slots + 1, say)
        if len(self.record.failures) == len(groups):
            raise next(iter(self.record.failures.values()))

    async def _group(self, group: Group, first: int, say: Say[Piece]) -> None:
        """One group, into the record from part `first` on. A page that fails among others is
        noted and passed over."""
        shown = [self.job.pictures[position] for position in group[0].pictures]
        try:
            await self._turns(group, first, say)
        except Problem as problem:
            if not shown or shown[0].page is None or len(self.job.groups) == 1:
                raise
            self.record.failures[first] = problem

    async def _turns(self, group: Group, first: int, say: Say[Piece]) -> None:
        """The deadline is that of a group: a long document is many short answers."""
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
                        # Places of later pages would come when they are past.
                        await self._wait(ticket, deadline, say if first == 0 else None)
                    self.record.queue_ms = max(self.record.queue_ms, ticket.waited_ms)
                    for number, ask in enumerate(group, first):
                        await self._turn(ask, self.record.parts[number], images, deadline, say)
            except TimeoutError:
                if not limit.expired():
                    raise
                raise DeadlineExceeded(UNREAD.format(limit_s), partial="") from None

    async def _wait(self, ticket: Ticket, deadline: float, say: Say[Queued] | None) -> None:
        """Until the ticket has its slot."""
        async with aclosing(self.gate.places(ticket)) as places:
            with Watch(deadline) as watch:
                while (place := await watch.wait(anext(places, None))) is not None:
                    if say:
                        await say(Queued(place.position, round(place.eta_ms)))

    async def _turn(
        self, ask: Ask, part: Part, images: list[Prepared], deadline: float, say: Say[Piece]
    ) -> None:
        r"""One turn; asked once more where its reader says so. Where the engine has no grammar for
        the format (`pattern` with `\d`, say), it is told what to write, and its answer checked."""
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
        """Ask; what was asked in the end, which is without a format where the engine has no
        grammar for it."""
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
        """Learn from what the engine counted; tell where a picture did not reach the model."""
        model = self.job.model
        if counted == planned:
            return
        if not model.estimator.lacks_images(cost, counted):
            model.estimator.learn(cost, counted)
            return
        self.record.notes.append(LACKING.format(counted=counted, planned=planned))
        self.record.lacks_images = True
        model.observed.faults["lost_image"] += 1
        if model.separation == "tags" and cost.images > 1:
            model.observed.tags_separate = False

    def _placed(self, ask: Ask, text: str) -> Delta:
        """A piece of the answer with what it belongs to, where there is more than one."""
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
