"""Coalesces equal requests into one generation, and caches repeatable answers.

A request that joins a running generation first receives all events so far, then the rest as they
arrive. The generation is cancelled only when its last subscriber leaves.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import orjson
from cachetools import LRUCache

from app.engine.events import Emit, EventSource
from app.pipeline.events import AnswerEvent, Delta, Done, Queued, Reasoning
from app.schemas import Answer


class AnswerCache:
    """Running generations and cached answers, by key.

    Args:
        max_bytes: size limit of all cached answers; the least recently used are evicted. 0 turns
            the cache off.
    """

    def __init__(self, max_bytes: int) -> None:
        self._stored: LRUCache[bytes, bytes] = LRUCache(max_bytes, getsizeof=len)
        self._running: dict[bytes, _SharedGeneration] = {}

    def contains(self, key: bytes) -> bool:
        """Whether the answer needs no slot because it is cached or being generated."""
        generation = self._running.get(key)
        return key in self._stored or (generation is not None and not generation.closed)

    async def emit_answer(
        self, key: bytes, generate: EventSource[AnswerEvent], emit: Emit[AnswerEvent]
    ) -> None:
        """Emit the answer of `key`: a cached one, a running generation's, or a new one's.

        `Done.answer.cached` is true if the answer was cached or shared.

        Raises:
            Problem: the generation failed. Each of its subscribers gets the same problem.
        """
        if kept := self._stored.get(key):
            for event in _deserialize(kept):
                await emit(_mark_cached(event))
            return
        generation = self._running.get(key)
        shared = self.contains(key)
        if generation is None or generation.closed:
            generation = self._running[key] = _SharedGeneration(generate)
        else:
            generation.subscribers += 1
        try:
            await generation.replay(emit, shared)
        finally:
            await generation.leave()
            if self._running.get(key) is generation and generation.closed:
                del self._running[key]
                self._store(key, generation.events)

    def _store(self, key: bytes, events: list[AnswerEvent]) -> None:
        if events and isinstance(done := events[-1], Done) and done.cacheable:
            packed = _serialize(events, done.answer)
            if len(packed) <= self._stored.maxsize:
                self._stored[key] = packed


@dataclass(eq=False, slots=True)
class _SharedGeneration:
    """One generation and its subscribers."""

    source: EventSource[AnswerEvent]
    events: list[AnswerEvent] = field(default_factory=list)
    subscribers: int = 1  # the caller that created it
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] = field(init=False)

    def __post_init__(self) -> None:
        self.task = asyncio.create_task(self._run())
        self.task.add_done_callback(self._notify)

    @property
    def closed(self) -> bool:
        """Whether it has ended or its last subscriber has left, so that nobody can join."""
        return self.task.done() or not self.subscribers

    async def replay(self, emit: Emit[AnswerEvent], shared: bool) -> None:
        """Emit all events from the first on, but only the latest queue position."""
        at = 0
        while True:
            while at < len(self.events):
                event, at = self.events[at], at + 1
                if not isinstance(event, Queued) or at == len(self.events):
                    await emit(_mark_cached(event) if shared else event)
            if self.task.done():
                self.task.result()
                return
            await self.changed.wait()

    async def leave(self) -> None:
        """Remove a subscriber. The last one cancels the generation."""
        self.subscribers -= 1
        if not self.subscribers and not self.task.done():
            self.task.cancel()
            await asyncio.wait((self.task,))

    async def _run(self) -> None:
        await self.source(self._append)

    async def _append(self, event: AnswerEvent) -> None:
        self.events.append(event)
        self._notify()

    def _notify(self, _ended: object = None) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


def _mark_cached(event: AnswerEvent) -> AnswerEvent:
    if isinstance(event, Done):
        return Done(event.answer.model_copy(update={"cached": True}))
    return event


def _serialize(events: Iterable[AnswerEvent], answer: Answer) -> bytes:
    """Serialize an answer for the cache. Consecutive events of one part are merged."""
    merged: list[tuple[str, tuple[int | None, ...], list[str]]] = []
    for event in events:
        if isinstance(event, Delta | Reasoning):
            kind = type(event).__name__
            part = event.part if isinstance(event, Delta) else ()
            if not merged or merged[-1][:2] != (kind, part):
                merged.append((kind, part, []))
            merged[-1][2].append(event.text)
    texts_by_part = [(part, "".join(texts)) for _, part, texts in merged]
    return orjson.dumps([texts_by_part, answer.model_dump(mode="json", exclude_unset=True)])


def _deserialize(kept: bytes) -> Iterator[AnswerEvent]:
    texts_by_part, answer = orjson.loads(kept)
    for part, text in texts_by_part:
        if part:
            question, image, page = part
            yield Delta(text, page=page, question=question, image=image)
        else:
            yield Reasoning(text)
    yield Done(Answer.model_validate(answer))
