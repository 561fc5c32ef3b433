"""What is fuzzed: each takes bytes, and gives what a server would do with what they stand for."""

import asyncio
import base64
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from app.engine.generate import MAX_CHARACTERS, SLICE_CHARACTERS
from app.engine.repetition import RepetitionDetector
from app.images.pages import select_pages
from app.images.picture import Picture
from app.images.sources import image_from_text
from app.routes.body import _decode_form, _parse_form_items, _parse_json, validate_fields
from app.routes.openai.request_schema import ChatBody
from app.schemas import DetectRequest, ExtractRequest, TaskRequest, TextFormat, VqaRequest
from app.tasks.documents.joining import PageText, join_pages
from app.tasks.ocr import PARSERS
from app.tasks.parsers.base import AnswerParser, AnswerPart
from app.tasks.parsers.boxes import ObjectParser, TextLineParser
from app.tasks.parsers.html import HtmlParser
from app.tasks.parsers.structured import JsonParser, SchemaValidator
from tests.fuzz.choices import Choices

Work = Callable[[], object]  # what is timed

PICTURE = Picture(b"", 0, None, 640, 480)
PATTERNS = (
    "^a+$",
    "(a|b)*c",
    "[ab]{9}",
    ".*.*=",
    "(?=a)",
    r"(a)\1",
    r"\d{3}",
    "(a{99}){99}",
    "(",
    "^.{1,99}$",
)
FORMATS = ("date", "date-time", "email", "uri", "regex", "uuid", "hostname", "ipv6", "duration")
REFERENCES = ("#", "#/$defs/a", "#/$defs/b", "#/properties/a", "#/allOf/0", "#/none", "http://a.b")


def multipart(data: bytes) -> Work:
    words = (
        "--b", "\r\n", "\r\n\r\n", "Content-Disposition:", ' form-data; name="a"', '; filename="x"',
        ";", "=", '"', "\\", " ", "\t", ";a*0=x", "filename*=UTF-8''%41", "x", "--", "\n", "\r",
        "Content-Type: x", "name=", "%22", "한", ":", "\x00",
    )  # fmt: skip
    body = b"--b" + Choices(data).text(words).encode()
    return partial(read_form, body, "multipart/form-data; boundary=b")


def head(data: bytes) -> Work:
    words = ("multipart/form-data", ";", "boundary", "=", '"', "b", " ", "*0", "*", "'", "\\", ",")
    return partial(read_form, b"--b\r\n--b--", Choices(data).text(words))


def urlencoded(data: bytes) -> Work:
    words = ("question", "image", "=", "&", "%41", "%", "+", "%ff", "%e", "a", "1", "가", "\r\n")
    return partial(
        read_form, Choices(data).text(words).encode(), "application/x-www-form-urlencoded"
    )


def read_form(body: bytes, content_type: str) -> None:
    form = _parse_form_items(asyncio.run(_decode_form(body, content_type)), VqaRequest)
    validate_fields(VqaRequest, form.fields, from_form=True)


def data_uri(data: bytes) -> Work:
    words = (
        "data:", "DATA:", "image/png", ";", ";base64", ",", "A", "AAAA", "=", " ", "\n", "%41", "!",
        "http://", "a", "://", "charset=x", "한", "+", "/", "\u00a0",
    )  # fmt: skip
    text = Choices(data).text(words)
    return lambda: asyncio.run(image_from_text(text, 0, None))


def pages(data: bytes) -> Work:
    choices = Choices(data)
    count = choices.one((1, 9, 50, 99_999))
    text = choices.text(("1", "9", "-", ",", " ", "0", "5-", "1-99999", "99", "x", "٣"))
    return partial(select_pages, text[:1000], count, 50, "image[0]")


def schema(data: bytes) -> Work:
    choices = Choices(data)
    value = subschema(choices, 5)
    value["$defs"] = {"a": subschema(choices, 3), "b": subschema(choices, 3)}
    answer = dumped(choices.json(9, leaf))
    return lambda: check(JsonParser(SchemaValidator(value, "schema")), answer)


def check(parser: JsonParser, answer: str) -> None:
    part = AnswerPart(parser)
    part.feed(answer)
    parser.correction()
    part.finish()


def dumped(value: Any) -> str:
    """As JSON, where it is no longer than an answer may be."""
    pieces, length = [], 0
    for piece in json.JSONEncoder().iterencode(value):
        pieces.append(piece)
        length += len(piece)
        if length > MAX_CHARACTERS:
            return "null"
    return "".join(pieces)


def subschema(choices: Choices, depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(1 + choices.number(4)):
        key, value = keyword(choices, depth)
        made[key] = value
    return made


def keyword(choices: Choices, depth: int) -> tuple[str, Any]:  # noqa: PLR0911 - a grammar
    inner = ("items", "not", "if", "then", "else", "contains", "propertyNames",
             "additionalProperties", "unevaluatedProperties", "unevaluatedItems")  # fmt: skip
    kind = choices.number(8) if depth else choices.number(5)
    match kind:
        case 0:
            return "type", choices.one(("object", "array", "string", "null", "number"))
        case 1:
            return choices.one(("$ref", "$dynamicRef")), choices.one(REFERENCES)
        case 2:
            number = choices.number(300)
            values = [f"a{n}" for n in range(number)]
            name = choices.one(("minimum", "enum", "required", "minLength", "uniqueItems", "const"))
            return name, {"enum": values, "required": values, "uniqueItems": True}.get(name, number)
        case 3:
            return "pattern", choices.one(PATTERNS)
        case 4:
            return "format", choices.one(FORMATS)
        case 5:
            return choices.one(inner), subschema(choices, depth - 1)
        case 6:
            name = choices.one(("properties", "patternProperties", "dependentSchemas"))
            names = PATTERNS if name == "patternProperties" else ("a", "a1", "b")
            number = 1 + choices.number(3)
            return name, {choices.one(names): subschema(choices, depth - 1) for _ in range(number)}
    name = choices.one(("allOf", "anyOf", "oneOf", "prefixItems"))
    times = 1 << choices.number(7) if choices.number(4) == 0 else 1 + choices.number(3)
    if times > 4:
        return name, [subschema(choices, depth - 1)] * times
    return name, [subschema(choices, depth - 1) for _ in range(times)]


def leaf(choices: Choices) -> Any:
    return choices.one(
        ("", "a", "ab" * 200, 0, 1.5, None, True, "2024-01-01", "a" * 5000, -1, {}, [], 10**20)
    )


def chat(data: bytes) -> Work:
    choices = Choices(data)
    body = choices.json(6, chat_leaf) if choices.byte() % 2 else conversation(choices)
    return partial(read_chat, dumped(body).encode())


def read_chat(body: bytes) -> None:
    form = _parse_json(body)
    validate_fields(ChatBody, form.fields).to_chat_request()


def conversation(choices: Choices) -> dict[str, Any]:
    part = {
        "type": choices.one(("text", "image_url", "file", "x")),
        choices.one(("text", "image_url", "file")): choices.json(3, chat_leaf),
    }
    message = {
        "role": choices.one(("user", "system", "assistant", "x")),
        "content": choices.one(("", [part] * (1 << choices.number(12)), part, None)),
    }
    extra = {choices.one(("stop", "n", "tools", "response_format", "seed", "x")): choices.json(
        4, chat_leaf
    )}  # fmt: skip
    return {"messages": [message] * (1 + choices.number(4)), **extra}


def chat_leaf(choices: Choices) -> Any:
    return choices.one(
        ("", "text", "data:,", "a" * 9000, 0, 1, 1.5, None, True, {"url": "a"}, {"type": "text"},
         {"file_data": "a"}, 10**30, "\ud800",
         {"type": "json_schema", "json_schema": {"schema": {}}})
    )  # fmt: skip


def task(data: bytes) -> Work:
    choices = Choices(data)
    body = dumped(choices.json(6, chat_leaf)).encode()
    kinds: tuple[type[TaskRequest], ...] = (VqaRequest, ExtractRequest, DetectRequest)
    kind = choices.one(kinds)
    return lambda: validate_fields(kind, _parse_json(body).fields)


HTML = (
    "<p>", "</p>", "<b>", "</b>", "<b x=1>", "<ul>", "<li>", "</ul>", "<table>", "<tr>", "<td>",
    "</table>", "<div>", "</div>", "<!--", "-->", "<!", "<", ">", "&", "&amp;", "&#1", "1", "$",
    "$$", " ", "\n", "x", "한", "<script>", "</script>", "<svg>", "<a ", "=", '"', "```",
    "```html\n", "<title>", "<hr>", "<pre>", "<template>", "<select>", "<i>", "</i>", "<h1>",
    "<math>", "<blockquote>", "</",
    "<td colspan=9>", "<caption>", "<x>", "\x00", "<br/>", "<font a>", "<nobr>",
)  # fmt: skip
BOXES = (
    "{", "}", "[", "]", '"bbox_2d":', "[1,2,3,4]", '"label":', '"thing 1"', '"text":', '"x"', ",",
    "1", "1e999", '"', "\\", "\n", "```json\n", "a thing", "NaN", ":", "\\u0041", "-", "0.1", "한",
)  # fmt: skip
LINES = (
    "|", "a", "1", " ", "\n", "-", "|-|-|\n", "|a|b|\n", "Page 1", "1/9", "# ", "```", "$$", "=",
    "*", "\t", "Report 2024\n", ":", "한", "<table>", "99 ", "\\|", ".", "٣", "²", "\u3000",
)  # fmt: skip


def html(data: bytes) -> Work:
    return partial(read, HtmlParser(), Choices(data).text(HTML), data)


def lines(data: bytes) -> Work:
    return partial(read, TextLineParser(PICTURE), Choices(data).text(BOXES), data)


def things(data: bytes) -> Work:
    labels = ["thing 1", "a thing", "things", "x", "한", *(f"thing {n}" for n in range(50))]
    return partial(read, ObjectParser(PICTURE, labels), Choices(data).text(BOXES), data)


def text(data: bytes) -> Work:
    return partial(read, PARSERS[TextFormat.MARKDOWN](), Choices(data).text(LINES), data)


def values(data: bytes) -> Work:
    answer = Choices(data).text(BOXES)
    form = {"type": "object", "required": ["x"]}
    return lambda: check(JsonParser(SchemaValidator(form, "schema")), answer)


def read(parser: AnswerParser, written: str, data: bytes) -> None:
    """As it comes: in small pieces where it is short, else as it is cut by `generate`."""
    detector, part = RepetitionDetector(), AnswerPart(parser)
    step = 1 + data[-1] % 7 if data and len(written) < 4000 else SLICE_CHARACTERS
    for at in range(0, len(written), step):
        part.feed(written[at : at + step])
        if surplus := detector.feed(written[at : at + step]):
            part.retract(surplus)
    part.finish()
    parser.warnings()


def joining(data: bytes) -> Work:
    choices = Choices(data)
    form = choices.one((TextFormat.TEXT, TextFormat.MARKDOWN, TextFormat.HTML))
    texts = [data[at::3] for at in range(1 + choices.number(3))]
    made = [Choices(one).text(HTML if form is TextFormat.HTML else LINES) for one in texts]
    if form is TextFormat.HTML:
        cleaned = []
        for one in made:
            part = AnswerPart(HtmlParser())
            part.feed(one)
            part.finish()
            cleaned.append(part.text)
        made = cleaned
    sheets = [PageText(number, made[number % len(made)]) for number in range(1, 8)]
    return partial(join_pages, sheets, form)


TARGETS: dict[str, Callable[[bytes], Work]] = {
    one.__name__: one
    for one in (
        multipart, head, urlencoded, data_uri, pages, schema, chat, task, html, lines, things, text,
        values, joining,
    )
}  # fmt: skip


def written(data: bytes) -> str:
    """An input as a test case holds it."""
    return base64.b64encode(data).decode()
