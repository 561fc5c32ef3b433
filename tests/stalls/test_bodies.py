"""What a body may cost before anything of it is understood: each was seconds, or gigabytes."""

import asyncio
from collections.abc import Callable

import pytest

from app.errors import InvalidParameter, InvalidRequest
from app.images.pages import select_pages
from app.images.sources import image_from_text
from app.routes.body import MAX_JSON_VALUES, _decode_form, _parse_json, validate_fields
from app.routes.multipart import MAX_DISPOSITION, parse_multipart
from app.routes.openai.request_schema import ChatBody
from app.schemas import DescribeRequest
from tests.stalls.cost import MOST_S, cost_s

MB = 1_000_000
TYPE = "multipart/form-data; boundary=b"


def part(disposition: bytes) -> bytes:
    return b"--b\r\nContent-Disposition: " + disposition + b"\r\n\r\nx\r\n"


def form(disposition: bytes) -> Callable[[], object]:
    """As many parts as there may be."""
    return lambda: parse_multipart(part(disposition) * 256 + b"--b--", TYPE)


def json(body: bytes) -> Callable[[], object]:
    return lambda: _parse_json(body)


def chat(content: str, number: int) -> Callable[[], object]:
    parts = ",".join([content] * number)
    body = '{"messages":[{"role":"user","content":[' + parts + "]}]}"
    return lambda: validate_fields(ChatBody, _parse_json(body.encode()).fields).to_chat_request()


def image(text: str) -> Callable[[], object]:
    return lambda: asyncio.run(image_from_text(text, 0, None))


COSTLY: dict[str, Callable[[], object]] = {
    "a head of spaces": form(b" " * 8000 + b"x"),
    "a head of semicolons": form(b"form-data; name=a" + b";" * 8000),
    "a head of quotes": form(b"form-data; name=a" + b';a="' * 2000),
    "a head of parameters": form(b"form-data; name=a" + b";a*0=x" * 1300),
    "6.6 million lists": json(b'{"image":[' + b"[]," * (20 * MB // 3) + b"[]]}"),
    "10 million numbers": json(b'{"image":[' + b"0," * (10 * MB) + b"0]}"),
    "a million keys": json(b"{" + b",".join(b'"%d":0' % n for n in range(MB)) + b"}"),
    "nested lists": json(b'{"a":' * (2 * MB) + b"[" * (5 * MB)),
    "700,000 empty parts": chat('{"type":"text","text":""}', 700_000),
    "parts of no type": chat('{"type":"x"}', 700_000),
    "100,000 fields": lambda: validate_fields(
        DescribeRequest, {f"k{n}": 1 for n in range(100_000)}
    ),
    "parameters of a data URI": image("data:" + ";" * (20 * MB)),
    "a data URI without end": image("data:" + "a" * (20 * MB)),
    "a data URI of escapes": image("data:;base64," + "%41" * (6 * MB)),
    "spaces in base64": image("A " * (10 * MB)),
    "an address without end": image("a" * (20 * MB)),
    "ranges of pages": lambda: select_pages("1-99999," * 120 + "1", 99_999, 50, "image[0]"),
    "pages of commas": lambda: select_pages("," * 1000, 9, 50, "image[0]"),
}


@pytest.mark.parametrize("work", COSTLY.values(), ids=COSTLY)
def test_it_costs_little(work: Callable[[], object]) -> None:
    assert cost_s(work) < MOST_S


def test_a_form_of_escapes_is_unquoted_in_pieces() -> None:
    """It took 1.4 GB. Pieces end where an escape does."""
    whole = "가나 &=+%".encode() * 40_000
    body = b"question=" + b"".join(b"%%%02x" % byte for byte in whole) + b"&model=a+b%2"
    items = asyncio.run(_decode_form(body, "application/x-www-form-urlencoded"))
    assert items == [("question", whole.decode()), ("model", "a b%2")]


def test_what_is_taken() -> None:
    assert _parse_json(b'{"image":[' + b'"000000",' * (MAX_JSON_VALUES - 10) + b'""]}').images
    with pytest.raises(InvalidRequest, match="more than 60000 values"):
        _parse_json(b'{"image":[' + b'"000000",' * MAX_JSON_VALUES + b'""]}')
    most = b'form-data; name=a; filename*="' + b"x" * (MAX_DISPOSITION - 31) + b'"'
    assert parse_multipart(part(most) + b"--b--", TYPE)
    with pytest.raises(InvalidRequest, match="over 2048 bytes"):
        parse_multipart(part(most + b"  ; x=y") + b"--b--", TYPE)
    with pytest.raises(InvalidRequest, match="16 parameters"):
        parse_multipart(part(b"form-data; name=a" + b";x=y" * 16) + b"--b--", TYPE)
    with pytest.raises(InvalidRequest, match="more than 256 fields"):
        asyncio.run(_decode_form(b"a=1&" * 300, "application/x-www-form-urlencoded"))
    with pytest.raises(InvalidParameter, match="no comma in its first 1024"):
        asyncio.run(image_from_text(f"data:{'a' * 2000},", 0, None))


def test_a_refusal_quotes_little() -> None:
    for body in ({"k" * MB: 1}, {"style": "x" * MB}):
        with pytest.raises(InvalidParameter) as caught:
            validate_fields(DescribeRequest, body)
        assert len(caught.value.detail) < 1000
        assert len(caught.value.extra["parameter"]) < 300
    with pytest.raises(InvalidParameter) as caught:
        message = {"role": "user", "content": [{"type": "x" * MB}]}
        validate_fields(ChatBody, {"messages": [message]})
    assert len(caught.value.detail) < 1000
