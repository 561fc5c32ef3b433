"""What reading an answer may cost: each was seconds to hours, in one call or piece by piece."""

import asyncio
import json
from collections.abc import Callable, Iterator
from functools import partial

import httpx
import pytest

from app.engine.chat import MOST_LINE, Lines
from app.engine.generate import LONGEST as N
from app.engine.generate import PIECE
from app.engine.loops import LoopGuard
from app.errors import EngineError
from app.images.picture import Picture
from app.models.tokens import Cost
from app.tasks.boxes import LineReader, ObjectReader
from app.tasks.html import HtmlReader, clean
from app.tasks.reader import Part, Reader
from app.tasks.structured import JsonReader, Schema
from app.tasks.unfenced import Unfenced
from tests.limits.cost import MOST_S, cost_s

PICTURE = Picture(b"", 0, None, 100, 100)


def unfenced() -> Unfenced:
    return Unfenced({"html"})


def whole(make: Callable[[], Reader], text: str) -> Callable[[], float]:
    """An answer as it is read where the engine sends it at once; seconds of the worst piece."""

    def work() -> float:
        part = Part(make())
        takes = [partial(part.take, text[at : at + PIECE]) for at in range(0, N, PIECE)]
        return max(*map(cost_s, takes), cost_s(part.end))

    return work


def pieces(make: Callable[[], Reader], text: str) -> Callable[[], float]:
    """A hundred thousand characters, a token each four; seconds of all."""

    def work() -> None:
        part = Part(make())
        for at in range(0, N // 10, 4):
            part.take(text[at : at + 4])
        part.end()

    return lambda: cost_s(work)


def once(read: Callable[[], object]) -> Callable[[], float]:
    return lambda: cost_s(read)


def labels() -> ObjectReader:
    return ObjectReader(PICTURE, [f"thing {n}" for n in range(64)])


def fields(name: str, value: str) -> Iterator[str]:
    for n in range(N // 40):
        left, top = n % 997, n // 997
        box = f"[{left},{top},{left + 2},{top + 2}]"
        yield json.dumps({name: value})[:-1] + f',"bbox_2d":{box}}}'


def schema() -> JsonReader:
    return JsonReader(Schema({"type": "object", "required": ["a"]}, "schema"))


def deep(opening: str, closing: str = "") -> str:
    return opening * (N // 2 // len(opening)) + closing * (N // 2 // max(1, len(closing)))


COSTLY: dict[str, Callable[[], float]] = {
    "line ends": whole(unfenced, "\n" * N),
    "line ends, and a word": whole(unfenced, "\n" * (N - 1) + "x"),
    "a fence that is a long line": pieces(unfenced, "```" + "x" * N),
    "a line of spaces": pieces(unfenced, " " * N),
    "a long line": pieces(unfenced, "x" * N),
    "spaces in HTML": once(partial(clean, "<p>x" + " " * N + "y</p>")),
    "closing tags": once(partial(clean, "<p>x</p>" + "</div> " * (N // 7))),
    "blocks": whole(HtmlReader, "<hr>" * N),
    "one block that is never whole": pieces(HtmlReader, "<table>" + "<b></b>" * N),
    "comments that are never whole": whole(HtmlReader, "<!--<p>x</p>" * N),
    "tags that are never whole": whole(HtmlReader, "<table " * N),
    "lists in lists": whole(HtmlReader, deep("<ul><li>", "</li></ul>")),
    "lists in lists, small": once(partial(clean, deep("<ul><li>")[:190_000])),
    "elements that are opened again": once(
        partial(clean, "<table>" + "".join(f"<b x={n}>" for n in range(9000)) + "<tr>x<td>y" * 9000)
    ),
    "paragraphs inside much": once(partial(clean, "<b><ul><li>" * 400 + "</p>" * 40_000)),
    "entities": whole(HtmlReader, "<p>" + "&" * N),
    "a character of many digits": whole(HtmlReader, "<p>&#" + "1" * N + ";"),
    "dollars": whole(HtmlReader, "<p>" + "$a $" * N),
    "an object without end": pieces(lambda: LineReader(PICTURE), '{"text":"' + "x" * N),
    "objects in objects": whole(lambda: LineReader(PICTURE), deep('{"text":', "}")),
    "objects in a long object": whole(
        lambda: LineReader(PICTURE), ('{"a":' * 90 + '"' + "x" * 8000 + '"' + "}" * 90) * 200
    ),
    "things of one label": whole(labels, "".join(fields("label", "thing 1"))),
    "things of other labels": whole(labels, "".join(fields("label", "another thing"))),
    "a long label": whole(labels, '{"label":"' + "thing " * (N // 6) + '"}'),
    "values": whole(schema, "{} " * N),
    "brackets that are never closed": whole(schema, "[" * N),
    "quotes that are never closed": whole(schema, '{"' * N),
    "fences that are never closed": whole(schema, "```x\n" * N),
    "a long number": whole(schema, "[" + "1" * N),
    "Hangul to be counted": once(partial(Cost.of, "가" * 3 * N, [])),
}


@pytest.mark.parametrize("work", COSTLY.values(), ids=COSTLY)
def test_it_costs_little(work: Callable[[], float]) -> None:
    assert work() < MOST_S


@pytest.mark.parametrize(
    "text",
    ["-" * 16_000, "b" + "-" * 8000 + "a" + "-" * 7999, ("-" * 19 + "x" + "-" * 18 + "y") * 400],
)
def test_looking_for_loops_costs_little(text: str) -> None:
    """Each look took 128 ms."""

    def work() -> None:
        guard = LoopGuard()
        for at in range(0, len(text), 4):
            guard.feed(text[at : at + 4])

    assert cost_s(work) < MOST_S


class _Body(httpx.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = iter(pieces)

    def __aiter__(self) -> "_Body":
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


def test_a_line_of_the_engine_that_comes_in_many_pieces() -> None:
    async def read(pieces: list[bytes]) -> str:
        lines = Lines(httpx.Response(200, stream=_Body(pieces)), "m")
        return "".join([chunk.message.content async for chunks in lines for chunk in chunks])

    start, end = b'{"message":{"content":"', b'"},"done":true}\n'
    text = [b"x" * 70] * (MOST_LINE // 2 // 70)
    assert asyncio.run(read([start, *text, end])) == "x" * len(b"".join(text))
    assert cost_s(lambda: asyncio.run(read([start, *text, end]))) < MOST_S
    with pytest.raises(EngineError, match="not Ollama's"):
        asyncio.run(read([start, *text, *text, *text]))
