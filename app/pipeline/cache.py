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
        run = self._running.get(key)
        return key in self._stored or (run is not None and not run.closed)

    async def emit_answer(
        self, key: bytes, generate: EventSource[AnswerEvent], emit: Emit[AnswerEvent]
    ) -> None:
        """Emit the answer of `key`: a cached one, a running generation's, or a new one's.

        `Done.answer.cached` is true if the answer was cached or shared.

        Raises:
            Problem: the generation failed. Each of its subscribers gets the same problem.
        """
        if kept := self._stored.get(key):
            for piece in _deserialize(kept):
                await emit(_mark_cached(piece))
            return
        run = self._running.get(key)
        shared = self.contains(key)
        if run is None or run.closed:
            run = self._running[key] = _SharedGeneration(generate)
        else:
            run.subscribers += 1
        try:
            await run.replay(emit, shared)
        finally:
            await run.leave()
            if self._running.get(key) is run and run.closed:
                del self._running[key]
                self._store(key, run.events)

    def _store(self, key: bytes, pieces: list[AnswerEvent]) -> None:
        if pieces and isinstance(done := pieces[-1], Done) and done.cacheable:
            packed = _serialize(pieces, done.answer)
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
                piece, at = self.events[at], at + 1
                if not isinstance(piece, Queued) or at == len(self.events):
                    await emit(_mark_cached(piece) if shared else piece)
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

    async def _append(self, piece: AnswerEvent) -> None:
        self.events.append(piece)
        self._notify()

    def _notify(self, _ended: object = None) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


def _mark_cached(piece: AnswerEvent) -> AnswerEvent:
    if isinstance(piece, Done):
        return Done(piece.answer.model_copy(update={"cached": True}))
    return piece


def _serialize(pieces: Iterable[AnswerEvent], answer: Answer) -> bytes:
    """Serialize an answer for the cache. Consecutive pieces of one part are merged."""
    said: list[tuple[str, tuple[int | None, ...], list[str]]] = []
    for piece in pieces:
        if isinstance(piece, Delta | Reasoning):
            kind = type(piece).__name__
            part = piece.part if isinstance(piece, Delta) else ()
            if not said or said[-1][:2] != (kind, part):
                said.append((kind, part, []))
            said[-1][2].append(piece.text)
    lines = [(part, "".join(texts)) for _, part, texts in said]
    return orjson.dumps([lines, answer.model_dump(mode="json", exclude_unset=True)])


def _deserialize(kept: bytes) -> Iterator[AnswerEvent]:
    lines, answer = orjson.loads(kept)
    for part, text in lines:
        if part:
            question, image, page = part
            yield Delta(text, page=page, question=question, image=image)
        else:
            yield Reasoning(text)
    yield Done(Answer.model_validate(answer))
