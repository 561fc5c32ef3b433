"""Equal requests share one generation, and an answer that is sure to come again is kept.

Sharing is between requests in flight: whoever comes second gets what was said so far at once, then
the rest as it comes. The generation ends early only when the last one who waits for it has left.
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
    """Generations that run, and answers that were kept, by key.

    Args:
        most_bytes: of all kept answers together; the longest unused go first. 0 keeps none.
    """

    def __init__(self, most_bytes: int) -> None:
        self._kept: LRUCache[bytes, bytes] = LRUCache(most_bytes, getsizeof=len)
        self._running: dict[bytes, _Run] = {}

    def ready(self, key: bytes) -> bool:
        """Whether an answer needs no slot: it is kept, or on its way."""
        run = self._running.get(key)
        return key in self._kept or (run is not None and not run.over)

    async def say(self, key: bytes, make: Work[Piece], say: Say[Piece]) -> None:
        """Say the answer of `key`: kept, already on its way, or else made by `make`.

        `Done.answer.cached` is true where nothing was generated for this caller alone.

        Raises:
            Problem: what ended the generation, to each who waits for it.
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
    """One generation and those who read it."""

    make: Work[Piece]
    pieces: list[Piece] = field(default_factory=list)
    readers: int = 1  # it is made for one who is about to read
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] = field(init=False)

    def __post_init__(self) -> None:
        self.task = asyncio.create_task(self._run())
        self.task.add_done_callback(self._tell)

    @property
    def over(self) -> bool:
        """Nobody can join any more: it has ended, or its last reader left."""
        return self.task.done() or not self.readers

    async def read(self, say: Say[Piece], shared: bool) -> None:
        """Say all pieces from the first on; a place in the line only while it is news."""
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
        """A reader is gone; the last one takes the generation along."""
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
    """What is kept of an answer, small and of a known size; pieces of one part become one."""
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
