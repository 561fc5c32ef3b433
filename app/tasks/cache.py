"""Coalesces equal requests into one generation, and caches repeatable answers.

A request that joins a running generation first receives all events so far, then the rest as they
arrive. The generation is cancelled only when its last reader leaves.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import orjson
from cachetools import LRUCache

from app.engine.events import Say, Work
from app.schemas import Answer
from app.tasks.events import Delta, Done, Piece, Queued, Reasoning


class Answers:
    """Running generations and cached answers, by key.

    Args:
        most_bytes: size limit of all cached answers; the least recently used are evicted. 0 turns
            the cache off.
    """

    def __init__(self, most_bytes: int) -> None:
        self._kept: LRUCache[bytes, bytes] = LRUCache(most_bytes, getsizeof=len)
        self._running: dict[bytes, _Run] = {}

    def ready(self, key: bytes) -> bool:
        """Whether the answer needs no slot because it is cached or being generated."""
        run = self._running.get(key)
        return key in self._kept or (run is not None and not run.over)

    async def say(self, key: bytes, make: Work[Piece], say: Say[Piece]) -> None:
        """Emit the answer of `key`: a cached one, a running generation's, or a new one by `make`.

        `Done.answer.cached` is true if the answer was cached or shared.

        Raises:
            Problem: the generation failed. Each of its readers gets the same problem.
        """
        if kept := self._kept.get(key):
            for piece in _unpacked(kept):
                await say(_cached(piece))
            return
        run = self._running.get(key)
        shared = self.ready(key)
        if run is None or run.over:
            run = self._running[key] = _Run(make)
        else:
            run.readers += 1
        try:
            await run.read(say, shared)
        finally:
            await run.leave()
            if self._running.get(key) is run and run.over:
                del self._running[key]
                self._keep(key, run.pieces)

    def _keep(self, key: bytes, pieces: list[Piece]) -> None:
        if pieces and isinstance(done := pieces[-1], Done) and done.repeatable:
            packed = _packed(pieces, done.answer)
            if len(packed) <= self._kept.maxsize:
                self._kept[key] = packed


@dataclass(eq=False, slots=True)
class _Run:
    """One generation and its readers."""

    make: Work[Piece]
    pieces: list[Piece] = field(default_factory=list)
    readers: int = 1  # the caller that created it
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] = field(init=False)

    def __post_init__(self) -> None:
        self.task = asyncio.create_task(self._run())
        self.task.add_done_callback(self._tell)

    @property
    def over(self) -> bool:
        """Whether it has ended or its last reader has left, so that nobody can join."""
        return self.task.done() or not self.readers

    async def read(self, say: Say[Piece], shared: bool) -> None:
        """Emit all events from the first on, but only the latest queue position."""
        at = 0
        while True:
            while at < len(self.pieces):
                piece, at = self.pieces[at], at + 1
                if not isinstance(piece, Queued) or at == len(self.pieces):
                    await say(_cached(piece) if shared else piece)
            if self.task.done():
                self.task.result()
                return
            await self.changed.wait()

    async def leave(self) -> None:
        """Remove a reader. The last one cancels the generation."""
        self.readers -= 1
        if not self.readers and not self.task.done():
            self.task.cancel()
            await asyncio.wait((self.task,))

    async def _run(self) -> None:
        await self.make(self._take)

    async def _take(self, piece: Piece) -> None:
        self.pieces.append(piece)
        self._tell()

    def _tell(self, _ended: object = None) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


def _cached(piece: Piece) -> Piece:
    if isinstance(piece, Done):
        return Done(piece.answer.model_copy(update={"cached": True}))
    return piece


def _packed(pieces: Iterable[Piece], answer: Answer) -> bytes:
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


def _unpacked(kept: bytes) -> Iterator[Piece]:
    lines, answer = orjson.loads(kept)
    for part, text in lines:
        if part:
            question, image, page = part
            yield Delta(text, page=page, question=question, image=image)
        else:
            yield Reasoning(text)
    yield Done(Answer.model_validate(answer))
