"""What reading an answer may cost: each was seconds to hours, in one call or piece by piece."""

import asyncio
import json
from collections.abc import Callable, Iterator
from functools import partial

import httpx
import pytest

from app.engine.chat import MAX_LINE_BYTES, ChunkStream
from app.engine.generate import MAX_CHARACTERS as N
from app.engine.generate import SLICE_CHARACTERS
from app.engine.repetition import RepetitionDetector
from app.errors import EngineError
from app.images.picture import Picture
from app.models.tokens import PromptCost
from app.tasks.parsers.base import AnswerParser, AnswerPart
from app.tasks.parsers.boxes import ObjectParser, TextLineParser
from app.tasks.parsers.code_fence import CodeFenceParser
from app.tasks.parsers.html import HtmlParser, sanitize
from app.tasks.parsers.structured import JsonParser, SchemaValidator
from tests.stalls.cost import MOST_S, cost_s

PICTURE = Picture(b"", 0, None, 100, 100)


def unfenced() -> CodeFenceParser:
    return CodeFenceParser({"html"})


def whole(make: Callable[[], AnswerParser], text: str) -> Callable[[], float]:
    """An answer as it is read where the engine sends it at once; seconds of the worst piece."""

    def work() -> float:
        part = AnswerPart(make())
        takes = [
            partial(part.feed, text[at : at + SLICE_CHARACTERS])
            for at in range(0, N, SLICE_CHARACTERS)
        ]
        return max(*map(cost_s, takes), cost_s(part.finish))

    return work


def pieces(make: Callable[[], AnswerParser], text: str) -> Callable[[], float]:
    """A hundred thousand characters, a token each four; seconds of all."""

    def work() -> None:
        part = AnswerPart(make())
        for at in range(0, N // 10, 4):
            part.feed(text[at : at + 4])
        part.finish()

    return lambda: cost_s(work)


def once(read: Callable[[], object]) -> Callable[[], float]:
    return lambda: cost_s(read)


def labels() -> ObjectParser:
    return ObjectParser(PICTURE, [f"thing {n}" for n in range(64)])


def fields(name: str, value: str) -> Iterator[str]:
    for n in range(N // 40):
        left, top = n % 997, n // 997
        box = f"[{left},{top},{left + 2},{top + 2}]"
        yield json.dumps({name: value})[:-1] + f',"bbox_2d":{box}}}'


def schema() -> JsonParser:
    return JsonParser(SchemaValidator({"type": "object", "required": ["a"]}, "schema"))


def deep(opening: str, closing: str = "") -> str:
    return opening * (N // 2 // len(opening)) + closing * (N // 2 // max(1, len(closing)))


COSTLY: dict[str, Callable[[], float]] = {
    "line ends": whole(unfenced, "\n" * N),
    "line ends, and a word": whole(unfenced, "\n" * (N - 1) + "x"),
    "a fence that is a long line": pieces(unfenced, "```" + "x" * N),
    "a line of spaces": pieces(unfenced, " " * N),
    "a long line": pieces(unfenced, "x" * N),
    "spaces in HTML": once(partial(sanitize, "<p>x" + " " * N + "y</p>")),
    "closing tags": once(partial(sanitize, "<p>x</p>" + "</div> " * (N // 7))),
    "blocks": whole(HtmlParser, "<hr>" * N),
    "one block that is never whole": pieces(HtmlParser, "<table>" + "<b></b>" * N),
    "comments that are never whole": whole(HtmlParser, "<!--<p>x</p>" * N),
    "tags that are never whole": whole(HtmlParser, "<table " * N),
    "lists in lists": whole(HtmlParser, deep("<ul><li>", "</li></ul>")),
    "lists in lists, small": once(partial(sanitize, deep("<ul><li>")[:190_000])),
    "elements that are opened again": once(
        partial(
            sanitize, "<table>" + "".join(f"<b x={n}>" for n in range(9000)) + "<tr>x<td>y" * 9000
        )
    ),
    "paragraphs inside much": once(partial(sanitize, "<b><ul><li>" * 400 + "</p>" * 40_000)),
    "entities": whole(HtmlParser, "<p>" + "&" * N),
    "a character of many digits": whole(HtmlParser, "<p>&#" + "1" * N + ";"),
    "dollars": whole(HtmlParser, "<p>" + "$a $" * N),
    "an object without end": pieces(lambda: TextLineParser(PICTURE), '{"text":"' + "x" * N),
    "objects in objects": whole(lambda: TextLineParser(PICTURE), deep('{"text":', "}")),
    "objects in a long object": whole(
        lambda: TextLineParser(PICTURE), ('{"a":' * 90 + '"' + "x" * 8000 + '"' + "}" * 90) * 200
    ),
    "things of one label": whole(labels, "".join(fields("label", "thing 1"))),
    "things of other labels": whole(labels, "".join(fields("label", "another thing"))),
    "a long label": whole(labels, '{"label":"' + "thing " * (N // 6) + '"}'),
    "values": whole(schema, "{} " * N),
    "brackets that are never closed": whole(schema, "[" * N),
    "quotes that are never closed": whole(schema, '{"' * N),
    "fences that are never closed": whole(schema, "```x\n" * N),
    "a long number": whole(schema, "[" + "1" * N),
    "Hangul to be counted": once(partial(PromptCost.of, "가" * 3 * N, [])),
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
        detector = RepetitionDetector()
        for at in range(0, len(text), 4):
            detector.feed(text[at : at + 4])

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
        lines = ChunkStream(httpx.Response(200, stream=_Body(pieces)), "m")
        return "".join([chunk.message.content async for chunks in lines for chunk in chunks])

    start, end = b'{"message":{"content":"', b'"},"done":true}\n'
    text = [b"x" * 70] * (MAX_LINE_BYTES // 2 // 70)
    assert asyncio.run(read([start, *text, end])) == "x" * len(b"".join(text))
    assert cost_s(lambda: asyncio.run(read([start, *text, end]))) < MOST_S
    with pytest.raises(EngineError, match="not valid Ollama output"):
        asyncio.run(read([start, *text, *text, *text]))
