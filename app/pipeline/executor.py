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


@dataclass(frozen=True, slots=True)
class _Slot:
    """What the model calls of a group share while the group holds its slot. `deadline` is on the
    event loop's clock, in seconds."""

    images: list[PreparedImage]
    deadline: float
    emit: Emit[AnswerEvent]


@dataclass(slots=True)
class PlanExecutor:
    """The execution of one plan. It fills `result`."""

    plan: RequestPlan
    result: ResultBuilder
    prepared: PreparedPictures
    scheduler: Scheduler
    ollama: OllamaClient
    context: RequestContext

    async def cache_key(self, api_key: str) -> bytes:
        """The key of the answer cache: equal for requests with the same answer. It waits until the
        images are decoded; of pages it takes the file.

        Args:
            api_key: hash of the API key. Answers are shared only within one.
        """
        plan = self.plan
        fields = [
            (api_key, plan.task.name, plan.model.name, plan.model.digest, plan.model.note),
            plan.request.model_dump_json(exclude={"model", "stream"}),
            [info.model_dump_json() for info in plan.image_infos],
        ]
        files = {picture.index: picture.data for picture in plan.pictures if picture.page}
        images = [
            (await self.prepared.pending(plan, position)).base64
            for position, picture in enumerate(plan.pictures)
            if picture.page is None
        ]
        return await self.prepared.decoder.digest([repr(fields).encode(), *files.values(), *images])

    async def run(self, emit: Emit[AnswerEvent]) -> None:
        """Run all groups and emit their events in order. The next group is decoded and queued while
        the slots are busy.

        Raises:
            Problem: a group failed that may not fail, or all did.
        """
        groups = self.plan.groups
        first_parts = accumulate(map(len, groups), initial=0)
        sources = [
            partial(self._run_group, group, first)
            for group, first in zip(groups, first_parts, strict=False)
        ]
        await run_ordered(sources, self.scheduler.slots + 1, emit)
        if len(self.result.page_failures) == len(groups):
            raise next(iter(self.result.page_failures.values()))

    async def _run_group(self, group: CallGroup, first: int, emit: Emit[AnswerEvent]) -> None:
        """Run one group, whose parts in the result start at index `first`. The failure of one page
        of several is recorded, and the other pages continue."""
        shown = [self.plan.pictures[position] for position in group[0].pictures]
        try:
            await self._run_in_slot(group, first, emit)
        except Problem as problem:
            if not shown or shown[0].page is None or len(self.plan.groups) == 1:
                raise
            self.result.page_failures[first] = problem

    async def _run_in_slot(self, group: CallGroup, first: int, emit: Emit[AnswerEvent]) -> None:
        """Decode the pictures of a group, wait for a slot and run the model calls in it. A known
        answer needs none of that. Each group has a deadline of its own, because a long document is
        many short answers."""
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
                    slot = _Slot(images, deadline, emit)
                    for number, call in enumerate(group, first):
                        await self._run_with_correction(call, self.result.parts[number], slot)
            except TimeoutError:
                if not limit.expired():
                    raise
                raise DeadlineExceeded(UNREAD_DETAIL.format(limit_s), partial="") from None

    async def _wait_for_slot(
        self, ticket: Ticket, deadline: float, emit: Emit[Queued] | None
    ) -> None:
        """Wait until the ticket has a slot, and emit its positions."""
        async with aclosing(self.scheduler.positions(ticket)) as positions:
            with Watchdog(deadline) as watchdog:
                while (queue_position := await watchdog.wait(anext(positions, None))) is not None:
                    if emit:
                        await emit(Queued(queue_position.position, round(queue_position.eta_ms)))

    async def _run_with_correction(self, call: ModelCall, part: AnswerPart, slot: _Slot) -> None:
        """Run one model call, and a correction if its parser requests one."""
        call = await self._run_with_format_fallback(call, part, slot)
        answer = part.parser.raw_text()
        whole = self.result.generations[-1].finish_reason == "stop"
        if whole and (fault := part.parser.correction()):
            await self._run_with_format_fallback(call.with_correction(answer, fault), part, slot)
        if text := part.finish():
            await slot.emit(self._tagged_delta(call, text))

    async def _run_with_format_fallback(
        self, call: ModelCall, part: AnswerPart, slot: _Slot
    ) -> ModelCall:
        r"""Run a model call. If the engine has no grammar for its format (such as a `pattern` with
        `\d`), run it again without the format; its prompt then contains the schema.

        Returns:
            The call that was answered.
        """
        try:
            await self._run_once(call, part, slot)
        except GrammarUnsupported:
            call = call.without_format()
            self.result.warnings.append(FORMAT_WARNING)
            await self._run_once(call, part, slot)
        return call

    async def _run_once(self, call: ModelCall, part: AnswerPart, slot: _Slot) -> None:
        """Generate the answer of a model call into its part, and emit it through the parser."""
        cost, estimator = self.plan.cost(call), self.plan.model.estimator
        planned = estimator.predict(cost)
        self.result.estimated_tokens += planned

        async def on_event(event: GenerationEvent) -> None:
            match event:
                case Text():
                    if text := part.feed(event.text):
                        await slot.emit(self._tagged_delta(call, text))
                case Retract():
                    part.retract(event.characters)
                case Thinking() if self.plan.request.think:
                    await slot.emit(Reasoning(event.text))

        prompt = self.plan.build_prompt(call, [image.base64 for image in slot.images])
        try:
            ended = await generate(self.ollama, prompt, slot.deadline, on_event)
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
        """A piece of the answer, tagged with its question, page and image."""
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
