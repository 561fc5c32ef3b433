"""Bodies and answers that cost more than their size shows, each in a size and four times that."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.fake_ollama.script import Head, Script, Send, done, says, word
from tests.pictures import base64_of, encoded, scene, text_pdf

PNG = encoded(scene(64, 64), "PNG")
IMAGE = base64_of(PNG)
MB = 1_000_000
STEP = 16  # characters of a token
TOGETHER = 500  # tokens that the engine sends at once
FORM = "multipart/form-data; boundary=b"
HANGUL = "가"
ANSWER = says("a house")


@dataclass(frozen=True, slots=True)
class Sent:
    """A request, and how the engine answers it."""

    path: str
    body: bytes
    content_type: str = "application/json"
    script: Script = ANSWER


@dataclass(frozen=True, slots=True)
class Input:
    """`make` takes the size: 1, then 4."""

    name: str
    make: Callable[[int], Sent]
    limit: str  # what holds it, for the table


def form(part: Callable[[int], bytes], content_type: str = FORM) -> Callable[[int], Sent]:
    """The same part in all the places that a form has."""

    def make(size: int) -> Sent:
        one = b"--b\r\n" + part(size) + b"\r\n\r\nx\r\n"
        return Sent("/v1/describe", one * 256 + b"--b--\r\n", content_type)

    return make


def disposition(text: Callable[[int], bytes]) -> Callable[[int], Sent]:
    return form(lambda size: b"Content-Disposition: form-data; name=a" + text(size))


def urlencoded(body: Callable[[int], str], path: str = "/v1/describe") -> Callable[[int], Sent]:
    kind = "application/x-www-form-urlencoded"
    return lambda size: Sent(path, body(size).encode(), kind)


def raw(body: Callable[[int], str], path: str = "/v1/describe") -> Callable[[int], Sent]:
    return lambda size: Sent(path, body(size).encode())


def task(path: str, fields: Callable[[int], Mapping[str, Any]]) -> Callable[[int], Sent]:
    def make(size: int) -> Sent:
        body = {"image": IMAGE, **fields(size)}
        return Sent(path, json.dumps(body, ensure_ascii=False).encode())

    return make


def chat(content: Callable[[int], Any], **fields: Any) -> Callable[[int], Sent]:
    def make(size: int) -> Sent:
        body = {"messages": [{"role": "user", "content": content(size)}], **fields}
        return Sent("/v1/chat/completions", json.dumps(body, ensure_ascii=False).encode())

    return make


def schema(value: Callable[[int], Mapping[str, Any]]) -> Callable[[int], Sent]:
    return task("/v1/extract", lambda size: {"schema": value(size)})


def patterns(pattern: str) -> Callable[[int], Sent]:
    def value(size: int) -> dict[str, Any]:
        return {"properties": {f"p{n}": {"pattern": f"{pattern}{n}"} for n in range(150 * size)}}

    return schema(value)


def answered(
    path: str, fields: Mapping[str, Any], text: Callable[[int], str]
) -> Callable[[int], Sent]:
    """An answer of 50,000 characters, then 200,000, a token at a time."""

    def make(size: int) -> Sent:
        said = text(50_000 * size)[: 50_000 * size]
        tokens = [word(said[at : at + STEP]).data for at in range(0, len(said), STEP)]
        sends = [
            Send(b"".join(tokens[at : at + TOGETHER])) for at in range(0, len(tokens), TOGETHER)
        ]
        body = {"image": IMAGE, "max_tokens": 16_000, **fields}
        return Sent(path, json.dumps(body).encode(), script=(Head(), *sends, done()))

    return make


def one_line(size: int) -> Sent:
    script = (Head(), word("".join(map(str, range(250_000 * size)))), done())
    return Sent("/v1/describe", json.dumps({"image": IMAGE}).encode(), script=script)


def pages(text: Callable[[int], str]) -> Callable[[int], Sent]:
    """A PDF with text layers."""

    def make(size: int) -> Sent:
        data = text_pdf([text(size)] * 8)
        return Sent("/v1/ocr", json.dumps({"image": base64_of(data)}).encode())

    return make


def tree(size: int) -> dict[str, Any]:
    node = {"properties": {"a": {"$ref": "#/$defs/node"}}, "required": ["a"]}
    ways = [{**node, "title": str(way)} for way in range(2 * size)]
    return {"$ref": "#/$defs/node", "$defs": {"node": {"oneOf": [*ways, {"type": "null"}]}}}


def nested(opening: str, closing: str) -> Callable[[int], str]:
    """One in another; numbered, so that the repetition detector has nothing to say."""

    def text(size: int) -> str:
        deep = size // (len(opening) + len(closing) + 4)
        return "".join(opening.replace("#", str(n)) for n in range(deep)) + closing * deep

    return text


def numbered(text: str) -> Callable[[int], str]:
    """One after another."""
    return lambda size: "".join(text.replace("#", str(n)) for n in range(size // len(text)))


def white(size: int) -> str:
    return "".join(random.Random(1).choices(" \t\n", k=size))


def boxes(label: str) -> Callable[[int], str]:
    def text(size: int) -> str:
        places = [(n % 97 * 10, n // 97) for n in range(size // 45)]
        told = [
            f'{{"label":"{label}","bbox_2d":[{left},{top},{left + 9},{top + 5}]}}'
            for left, top in places
        ]
        return f"[{','.join(told)}]"

    return text


OCR, DETECT, EXTRACT = "/v1/ocr", "/v1/detect", "/v1/extract"
ROWS = {"type": "array", "items": {"enum": [{"a": n} for n in range(3000)]}}
HTML, JSON = {"format": "html"}, {"format": "json"}
TREE = {"schema": tree(2)}
OBJECT = {"schema": {"type": "object", "required": ["a"]}}
READER, NESTING = "processed in linear time", "tags of a block"
VALUES, HEAD, PATTERN, CHECK = (
    "values of a body",
    "size of a part's header",
    "patterns",
    "cost of validation",
)

INPUTS: Sequence[Input] = (
    Input(
        "Multipart: part headers full of spaces",
        disposition(lambda n: b" " * 2000 * n + b"x"),
        HEAD,
    ),
    Input("Multipart: part headers full of `;`", disposition(lambda n: b";" * 2000 * n), HEAD),
    Input("Multipart: part headers full of quotes", disposition(lambda n: b';a="' * 500 * n), HEAD),
    Input("Multipart: parts with many header fields", form(lambda n: b"A: b\r\n" * 330 * n), HEAD),
    Input(
        "Multipart: a Content-Type with 16 kB of parameters",
        lambda n: Sent("/v1/describe", b"--b--", FORM + ";a=b" * 1000 * n),
        "size of the request head",
    ),
    Input(
        "JSON: many lists in a list",
        raw(lambda n: '{"image":[' + "[]," * (5 * MB * n // 3) + "[]]}"),
        VALUES,
    ),
    Input(
        "JSON: many numbers", raw(lambda n: '{"image":[' + "0," * (5 * MB * n // 2) + "0]}"), VALUES
    ),
    Input(
        "JSON: many fields",
        raw(lambda n: "{" + ",".join(f'"{k}":0' for k in range(400_000 * n)) + "}"),
        VALUES,
    ),
    Input("JSON: nested objects", raw(lambda n: '{"a":' * (MB * n)), "nesting depth of JSON"),
    Input(
        "JSON: a field name of several MB",
        raw(lambda n: '{"' + "k" * 4 * MB * n + '":0}'),
        "characters quoted in an error",
    ),
    Input(
        "JSON: a number with millions of digits",
        raw(lambda n: '{"seed":' + "1" * 4 * MB * n + "}"),
        "range of 64-bit numbers",
    ),
    Input(
        "JSON: a string of escapes",
        raw(lambda n: '{"prompt":"' + "\\u0041" * (700_000 * n) + '"}'),
        "length of a field",
    ),
    Input(
        "Chat: a part type of several MB",
        chat(lambda n: [{"type": "x" * 4 * MB * n}]),
        "characters quoted in an error",
    ),
    Input(
        "Chat: many empty text parts",
        chat(lambda n: [{"type": "text", "text": ""}] * 150_000 * n),
        VALUES,
    ),
    Input(
        "Chat: many parts of an unknown type", chat(lambda n: [{"type": "x"}] * 200_000 * n), VALUES
    ),
    Input(
        "Chat: thousands of images",
        chat(lambda n: [{"type": "image_url", "image_url": "AAAA"}] * 7000 * n),
        "`MAX_IMAGES`",
    ),
    Input("Chat: several MB of text", chat(lambda n: "word " * (900_000 * n)), "context"),
    Input("Chat: several MB of Hangul", chat(lambda n: HANGUL * (1_500_000 * n)), "context"),
    Input(
        "Form: percent escapes",
        urlencoded(lambda n: "prompt=" + "%41" * (MB * 3 // 2 * n)),
        "runs in a thread",
    ),
    Input("Form: many fields", urlencoded(lambda n: "a=1&" * (MB * n)), "fields of a form"),
    Input(
        "Form: a percent-encoded image",
        urlencoded(lambda n: "image=" + quote("+/" * (600_000 * n), safe="")),
        "runs in a thread",
    ),
    Input(
        "Data URI: parameters",
        task("/v1/describe", lambda n: {"image": "data:" + ";" * 4 * MB * n}),
        "length of a data URI's head",
    ),
    Input(
        "Data URI: percent escapes",
        task("/v1/describe", lambda n: {"image": "data:;base64," + "%41" * (MB * n)}),
        READER,
    ),
    Input(
        "Base64: a space after each character",
        task("/v1/describe", lambda n: {"image": "A " * (2 * MB * n)}),
        READER,
    ),
    Input(
        "Base64: one repeated character",
        task("/v1/describe", lambda n: {"image": "a" * 4 * MB * n}),
        READER,
    ),
    Input(
        "Pages: many ranges",
        task("/v1/ocr", lambda n: {"pages": ",".join(["1-99999"] * 31 * n)}),
        "`MAX_PAGES`",
    ),
    Input(
        "VQA: 64 long questions",
        task("/v1/vqa", lambda n: {"question": [HANGUL * 2000 * n] * 64}),
        READER,
    ),
    Input(
        "Detect: 64 labels",
        task(DETECT, lambda n: {"labels": [f"{k} " + "thing " * 8 * n for k in range(64)]}),
        "length of a label",
    ),
    Input("Schema: patterns with lookahead", patterns("(?=a)"), PATTERN),
    Input("Schema: patterns that backtrack", patterns("^(a+)+$"), PATTERN),
    Input(
        "Schema: patterns that grow when compiled",
        schema(lambda n: {"allOf": [{"pattern": f"^.{{1,{300 - k}}}$"} for k in range(12 * n)]}),
        PATTERN,
    ),
    Input(
        "Schema: class escapes",
        schema(lambda n: {"pattern": r"\W" * 2000 * n}),
        PATTERN,
    ),
    Input(
        "Schema: a `type` with many names",
        schema(lambda n: {"type": ["a"] * 12_000 * n}),
        "values of a schema",
    ),
    Input(
        "Schema: an `enum` of several MB",
        schema(lambda n: {"enum": [f"{k:0600}" for k in range(2500 * n)]}),
        "size of a schema",
    ),
    Input(
        "Schema: many properties",
        schema(
            lambda n: {"properties": {f"p{k}": {"items": {"enum": [1, 2]}} for k in range(600 * n)}}
        ),
        "context",
    ),
    Input(
        "Schema: nested references",
        schema(
            lambda n: {
                "$defs": {
                    f"d{k}": {"allOf": [{"$ref": f"#/$defs/d{k + 1}"}] * 10} for k in range(3 * n)
                },
                "$ref": "#/$defs/d0",
            }
        ),
        "objects of a schema",
    ),
    Input(
        "Answer: JSON against a recursive `oneOf`",
        answered(
            EXTRACT, TREE, lambda n: '{"a":' * (20 * n // 50_000) + "5" + "}" * (20 * n // 50_000)
        ),
        CHECK,
    ),
    Input(
        "Answer: JSON with many errors",
        answered(EXTRACT, {"schema": ROWS}, lambda n: "[" + numbered('{"a":-#},')(n // 2) + "0]"),
        CHECK,
    ),
    Input(
        "Answer: many JSON values in a row", answered(EXTRACT, OBJECT, numbered('{"#":0} ')), CHECK
    ),
    Input("Answer: unclosed brackets", answered(EXTRACT, OBJECT, numbered('[{"#":')), READER),
    Input(
        "Answer: spaces in HTML",
        answered(OCR, HTML, lambda n: "<p>x" + white(n - 10) + "y</p>"),
        READER,
    ),
    Input(
        "Answer: an unclosed table",
        answered(OCR, HTML, lambda n: "<table>" + "".join(f"<b>{k}</b>" for k in range(n // 8))),
        NESTING,
    ),
    Input("Answer: nested lists", answered(OCR, HTML, nested("<ul><li>#", "</li></ul>")), NESTING),
    Input(
        "Answer: inline elements that are reopened",
        answered(
            OCR,
            HTML,
            lambda n: (
                "<table>" + "".join(f"<b x={k}>" for k in range(n // 20)) + "<tr>x<td>y" * (n // 20)
            ),
        ),
        NESTING,
    ),
    Input(
        "Answer: many HTML blocks",
        answered(OCR, HTML, lambda n: "".join(f"<p>{k}" for k in range(n // 6))),
        READER,
    ),
    Input(
        "Answer: empty lines",
        answered(OCR, {"format": "markdown"}, lambda n: "x" + "\n \n\t" * n),
        "the repetition detector",
    ),
    Input(
        "Answer: a code fence in one long line",
        answered(OCR, {"format": "markdown"}, lambda n: "```" + "".join(map(str, range(n // 4)))),
        READER,
    ),
    Input(
        "Answer: dashes",
        answered(
            "/v1/describe",
            {},
            lambda n: (
                ("-" * 6000 + "".join(map(str, range(40))) + "-" * 5999 + "x") * (n // 10_000)
            ),
        ),
        "the repetition detector",
    ),
    Input(
        "Answer: many boxes of one label",
        answered(DETECT, {"labels": ["cup"]}, boxes("cup")),
        READER,
    ),
    Input(
        "Answer: many boxes of other labels",
        answered(DETECT, {"labels": [f"cup {k}" for k in range(64)]}, boxes("a cup of tea")),
        READER,
    ),
    Input(
        "Answer: nested objects",
        answered(OCR, JSON, nested('{"text":"#","in":', "}")),
        "nesting depth of objects",
    ),
    Input("Answer: a line of several MB", one_line, "length of an answer"),
    Input("PDF text: digits", pages(lambda n: "1" * 5000 * n), "length of a page header"),
    Input(
        "PDF text: numbers",
        pages(lambda n: "1 " * 140 + "\n" + "12 " * 4000 * n),
        "numbers in a page header",
    ),
    Input(
        "PDF text: lines",
        pages(lambda n: "\n".join(f"line {k}" for k in range(2000 * n))),
        "runs in a thread",
    ),
)


def request_of(sent: Sent) -> dict[str, Any]:
    """As `httpx.Client.post` takes it."""
    return {"content": sent.body, "headers": {"content-type": sent.content_type}}
