"""Equal requests share a generation; repeatable answers are cached."""

import asyncio

import pytest

from app.engine.events import Emit
from app.errors import EngineInterrupted, Problem
from app.pipeline.cache import AnswerCache
from app.pipeline.events import AnswerEvent, Delta, Done, Queued, Reasoning
from app.schemas import Answer, Timings, Usage
from tests.events import Heard


def answer(text: str) -> Answer:
    return Answer(
        id="req_1",
        task="ocr",
        model="m",
        text=text,
        finish_reason="stop",
        images=[],
        usage=Usage(
            prompt_tokens=1, completion_tokens=1, reasoning_tokens=0, estimated_prompt_tokens=1
        ),
        timings=Timings(
            queue_ms=0,
            prepare_ms=0,
            load_ms=0,
            prompt_ms=0,
            generate_ms=0,
            total_ms=0,
            tokens_per_second=0,
        ),
    )


class Engine:
    """Emits one of `pieces` each time it is released, and counts its calls."""

    def __init__(self, *pieces: AnswerEvent, ends: Problem | None = None) -> None:
        self.pieces = pieces
        self.ends = ends
        self.asked = 0
        self.left = 0
        self.go_on = asyncio.Semaphore(0)

    async def make(self, emit: Emit[AnswerEvent]) -> None:
        self.asked += 1
        try:
            for piece in self.pieces:
                await self.go_on.acquire()
                await emit(piece)
            if self.ends:
                raise self.ends
        except asyncio.CancelledError:
            self.left += 1
            raise

    def let(self, pieces: int = 100) -> None:
        for _ in range(pieces):
            self.go_on.release()


async def read(answer_cache: AnswerCache, engine: Engine, key: bytes = b"k") -> list[AnswerEvent]:
    heard: Heard[AnswerEvent] = Heard()
    await answer_cache.emit_answer(key, engine.make, heard.say)
    return heard


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def texts(pieces: list[AnswerEvent]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, Delta))


def last(pieces: list[AnswerEvent]) -> Answer:
    done = pieces[-1]
    assert isinstance(done, Done)
    return done.answer


DONE = Done(answer("a cat"), cacheable=True)
ONCE = Done(answer("a cat"), cacheable=False)


async def test_a_second_one_gets_all_of_the_first() -> None:
    answer_cache, engine = AnswerCache(0), Engine(Delta("a"), Delta(" cat"), ONCE)
    first = asyncio.create_task(read(answer_cache, engine))
    engine.let(1)
    await settle()
    second = asyncio.create_task(read(answer_cache, engine))
    engine.let()
    assert texts(await first) == texts(await second) == "a cat"
    assert engine.asked == 1
    assert (last(await first).cached, last(await second).cached) == (False, True)


@pytest.mark.parametrize("who", ["first", "second"])
async def test_one_who_leaves_ends_nothing_for_the_other(who: str) -> None:
    answer_cache, engine = AnswerCache(0), Engine(Delta("a"), Delta(" cat"), ONCE)
    readers = [asyncio.create_task(read(answer_cache, engine)) for _ in range(2)]
    engine.let(1)
    await settle()
    leaver, stays = readers if who == "first" else readers[::-1]
    leaver.cancel()
    await settle()
    engine.let()
    assert texts(await stays) == "a cat"
    assert (engine.asked, engine.left) == (1, 0)


async def test_the_last_who_leaves_ends_it_and_the_next_begins_anew() -> None:
    answer_cache, engine = AnswerCache(10_000), Engine(Delta("a"), DONE)
    readers = [asyncio.create_task(read(answer_cache, engine)) for _ in range(2)]
    await settle()
    for reader in readers:
        reader.cancel()
    await asyncio.wait(readers)
    assert engine.left == 1
    engine.let()
    assert texts(await read(answer_cache, engine)) == "a"
    assert engine.asked == 2


async def test_a_failure_is_told_to_all_and_not_kept() -> None:
    problem = EngineInterrupted("broke.", partial="")
    answer_cache, engine = AnswerCache(10_000), Engine(Delta("a"), ends=problem)
    readers = [asyncio.create_task(read(answer_cache, engine)) for _ in range(2)]
    engine.let()
    for reader in readers:
        with pytest.raises(EngineInterrupted):
            await reader
    with pytest.raises(EngineInterrupted):
        await read(answer_cache, engine)
    assert engine.asked == 2


async def test_kept_with_its_parts_and_thoughts() -> None:
    said = (
        Queued(1, 10),
        Reasoning("h"),
        Reasoning("m"),
        Delta("a", question=0),
        Delta(" cat", question=0),
        Delta("two", question=1, image=2, page=3),
        DONE,
    )
    answer_cache, engine = AnswerCache(10_000), Engine(*said)
    engine.let()
    await read(answer_cache, engine)
    again = await read(answer_cache, engine)
    assert again[:-1] == [
        Reasoning("hm"),
        Delta("a cat", question=0),
        Delta("two", question=1, image=2, page=3),
    ]
    assert last(again) == answer("a cat").model_copy(update={"cached": True})
    assert engine.asked == 1


async def test_what_is_left_to_chance_is_not_kept() -> None:
    answer_cache, engine = AnswerCache(10_000), Engine(Delta("a"), ONCE)
    engine.let()
    await read(answer_cache, engine)
    assert last(await read(answer_cache, engine)).cached is False


async def test_keys_set_apart() -> None:
    answer_cache, engine = AnswerCache(10_000), Engine(Delta("a"), DONE)
    engine.let()
    await read(answer_cache, engine, b"k")
    await read(answer_cache, engine, b"l")
    assert engine.asked == 2


async def test_the_longest_unused_goes_first() -> None:
    answer_cache, engine = AnswerCache(1200), Engine(Delta("a"), DONE)
    engine.let()
    for key in (b"1", b"2", b"1", b"3", b"4"):
        await read(answer_cache, engine, key)
    assert engine.asked == 4
    await read(answer_cache, engine, b"2")
    assert engine.asked == 5


async def test_an_answer_over_the_bound_is_not_kept() -> None:
    answer_cache, engine = AnswerCache(50), Engine(Delta("a"), DONE)
    engine.let()
    assert texts(await read(answer_cache, engine)) == texts(await read(answer_cache, engine)) == "a"
    assert engine.asked == 2
