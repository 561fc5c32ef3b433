"""Runs the model calls of a plan through the scheduler and the engine, and emits the answer."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

from app.context import RequestContext
from app.engine.client import OllamaClient
from app.engine.deadline import Watchdog
from app.engine.events import Emit, Retract, Text, Thinking
from app.engine.generate import GenerationEvent, generate
from app.engine.scheduler import Scheduler, Ticket
from app.errors import ContextOverflow, DeadlineExceeded, GrammarUnsupported, Problem
from app.images.picture import PreparedImage
from app.models.tokens import PromptCost
from app.pipeline.events import AnswerEvent, Delta, Queued, Reasoning
from app.pipeline.ordered import run_ordered
from app.pipeline.plan import RequestPlan
from app.pipeline.prepared import PreparedPictures
from app.pipeline.result import ResultBuilder
from app.tasks.parsers.base import AnswerPart
from app.tasks.task import CallGroup, ModelCall

LOST_IMAGE_WARNING = (
    "The engine counted {counted} tokens, but {planned} were sent: it dropped an image or merged "
    "two. Do not rely on this answer. Run `python -m app doctor` for details."
)
FORMAT_WARNING = "The engine cannot enforce this schema; the answer was only validated against it."

# Seconds after the deadline at which a client that does not read its answer loses its slot. (The
# engine is stopped at the deadline.)
UNREAD_GRACE_S = 0.5
UNREAD_DETAIL = (
    "The answer was not read within REQUEST_TIMEOUT_S ({:g} s). Read the stream as it arrives."
)


@dataclass(slots=True)
class PlanExecutor:
    """The execution of one plan. It fills `result`."""

    plan: RequestPlan
    result: ResultBuilder
    prepared: PreparedPictures
    scheduler: Scheduler
    ollama: OllamaClient
    context: RequestContext

    async def fingerprint(self, key: str) -> bytes:
        """The cache key: equal for requests with the same answer. Files must be decoded.

        Args:
            key: hash of the API key. Answers are shared only within one key.
        """
        plan = self.plan
        told = [
            (key, plan.task.name, plan.model.name, plan.model.digest, plan.model.note),
            plan.request.model_dump_json(exclude={"model", "stream"}),
            [info.model_dump_json() for info in plan.image_infos],
        ]
        files = {picture.index: picture.data for picture in plan.pictures if picture.page}
        seen = [
            (await self.prepared.pending(plan, position)).base64
            for position, picture in enumerate(plan.pictures)
            if picture.page is None
        ]
        return await self.prepared.decoder.digest([repr(told).encode(), *files.values(), *seen])

    async def run(self, emit: Emit[AnswerEvent]) -> None:
        """Run all groups and emit their events in order. The next group is decoded and queued while
        the slots are busy.

        Raises:
            Problem: a group failed that may not fail, or all did.
        """
        groups = self.plan.groups
        firsts = accumulate(map(len, groups), initial=0)
        works = [
            partial(self._run_group, group, first)
            for group, first in zip(groups, firsts, strict=False)
        ]
        await run_ordered(works, self.scheduler.slots + 1, emit)
        if len(self.result.page_failures) == len(groups):
            raise next(iter(self.result.page_failures.values()))

    async def _run_group(self, group: CallGroup, first: int, emit: Emit[AnswerEvent]) -> None:
        """Run one group, whose parts in the result start at `first`. The failure of one page of
        several is recorded, and the other pages continue."""
        shown = [self.plan.pictures[position] for position in group[0].pictures]
        try:
            await self._run_calls(group, first, emit)
        except Problem as problem:
            if not shown or shown[0].page is None or len(self.plan.groups) == 1:
                raise
            self.result.page_failures[first] = problem

    async def _run_calls(self, group: CallGroup, first: int, emit: Emit[AnswerEvent]) -> None:
        """Run the model calls of a group. Each group has a deadline of its own, because a long
        document is many short answers."""
        if group[0].known_answer is not None:
            part = self.result.parts[first]
            await emit(
                self._tagged_delta(group[0], part.feed(group[0].known_answer) + part.finish())
            )
            return
        limit_s = self.plan.settings.request_timeout_s
        deadline = asyncio.get_running_loop().time() + limit_s
        images = await self.prepared.get(self.plan, group[0].pictures, deadline)
        self.result.warnings += [note for image in images for note in image.warnings]
        max_wait_s = deadline - asyncio.get_running_loop().time()
        with self.scheduler.enqueue(self.context.client, max_wait_s) as ticket:
            self.context.ticket = self.context.ticket or ticket
            try:
                async with asyncio.timeout_at(deadline + UNREAD_GRACE_S) as limit:
                    if not ticket.granted_at:
                        # Positions of later pages would be emitted too late to matter.
                        await self._wait_for_slot(ticket, deadline, emit if first == 0 else None)
                    self.result.queue_ms = max(self.result.queue_ms, ticket.waited_ms)
                    for number, call in enumerate(group, first):
                        await self._run_call(
                            call, self.result.parts[number], images, deadline, emit
                        )
            except TimeoutError:
                if not limit.expired():
                    raise
                raise DeadlineExceeded(UNREAD_DETAIL.format(limit_s), partial="") from None

    async def _wait_for_slot(
        self, ticket: Ticket, deadline: float, emit: Emit[Queued] | None
    ) -> None:
        """Wait until the ticket has a slot, and emit its positions."""
        async with aclosing(self.scheduler.positions(ticket)) as places:
            with Watchdog(deadline) as watchdog:
                while (queue_position := await watchdog.wait(anext(places, None))) is not None:
                    if emit:
                        await emit(Queued(queue_position.position, round(queue_position.eta_ms)))

    async def _run_call(
        self,
        call: ModelCall,
        part: AnswerPart,
        images: list[PreparedImage],
        deadline: float,
        emit: Emit[AnswerEvent],
    ) -> None:
        r"""Run one model call, and a correction if its parser requests one. If the engine has no
        grammar for the format (such as a `pattern` with `\d`), the prompt contains the schema."""
        call = await self._call_with_format(call, part, images, deadline, emit)
        answer = part.parser.raw_text()
        whole = self.result.generations[-1].finish_reason == "stop"
        if whole and (fault := part.parser.correction()):
            await self._call_with_format(
                call.with_correction(answer, fault), part, images, deadline, emit
            )
        if text := part.finish():
            await emit(self._tagged_delta(call, text))

    async def _call_with_format(
        self,
        call: ModelCall,
        part: AnswerPart,
        images: list[PreparedImage],
        deadline: float,
        emit: Emit[AnswerEvent],
    ) -> ModelCall:
        """Run a model call, again without its format if the engine cannot enforce that. Returns
        the call that was answered."""
        try:
            await self._call(call, part, images, deadline, emit)
        except GrammarUnsupported:
            call = call.without_format()
            self.result.warnings.append(FORMAT_WARNING)
            await self._call(call, part, images, deadline, emit)
        return call

    async def _call(
        self,
        call: ModelCall,
        part: AnswerPart,
        images: list[PreparedImage],
        deadline: float,
        emit: Emit[AnswerEvent],
    ) -> None:
        cost, estimator = self.plan.cost(call), self.plan.model.estimator
        planned = estimator.predict(cost)
        self.result.estimated_tokens += planned

        async def on_event(event: GenerationEvent) -> None:
            match event:
                case Text():
                    if text := part.feed(event.text):
                        await emit(self._tagged_delta(call, text))
                case Retract():
                    part.retract(event.characters)
                case Thinking() if self.plan.request.think:
                    await emit(Reasoning(event.text))

        prompt = self.plan.build_prompt(call, [image.base64 for image in images])
        try:
            ended = await generate(self.ollama, prompt, deadline, on_event)
        except ContextOverflow as overflow:
            estimator.learn(cost, int(overflow.extra.get("engine_tokens", 0)))
            raise
        self.result.generations.append(ended)
        if self.plan.model.daemon.counts_cached_tokens:
            self._learn_token_count(cost, planned, ended.first_prompt_tokens)

    def _learn_token_count(self, cost: PromptCost, planned: int, counted: int) -> None:
        """Learn from the engine's token count, and warn if an image did not reach the model."""
        model = self.plan.model
        if not model.estimator.lacks_images(cost, counted):
            model.estimator.learn(cost, counted)
            return
        self.result.warnings.append(LOST_IMAGE_WARNING.format(counted=counted, planned=planned))
        self.result.lacks_images = True
        model.observed.faults["lost_image"] += 1
        if model.image_separation == "tags" and cost.images > 1:
            model.observed.image_tags_work = False

    def _tagged_delta(self, call: ModelCall, text: str) -> Delta:
        """A piece of the answer with its question, page and image."""
        if len(call.pictures) != 1:
            return Delta(text, question=call.question)
        picture = self.plan.pictures[call.pictures[0]]
        files = self.plan.pictures[-1].index + 1
        return Delta(
            text,
            question=call.question,
            page=picture.page,
            image=picture.index if files > 1 else None,
        )
