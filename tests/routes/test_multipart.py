"""Forms as clients write them, and as they should not."""

import contextlib
import random

import httpx
import pytest

from app.errors import InvalidRequest
from app.routes.multipart import FormPart, parse_multipart

TYPE = "multipart/form-data; boundary=b"


def form(*lines: bytes) -> bytes:
    return b"\r\n".join(lines)


def test_as_httpx_writes_it() -> None:
    data = bytes(random.Random(1).randbytes(5000))
    request = httpx.Request(
        "POST",
        "http://test",
        data={"question": ["왜?", "b"], "empty": ""},
        files=[("image", ("a.jpg", data, "image/jpeg")), ("image", ("이름.png", b"\r\n--", "x/y"))],
    )
    found = parse_multipart(request.read(), request.headers["content-type"])
    assert [(one.name, one.is_file) for one in found] == [
        ("question", False),
        ("question", False),
        ("empty", False),
        ("image", True),
        ("image", True),
    ]
    assert found[0].text == "왜?"
    assert [one.data for one in found[3:]] == [data, b"\r\n--"]


@pytest.mark.parametrize(
    "head",
    [
        b'Content-Disposition: form-data; name="image"; filename="a"',
        b'content-disposition: form-data; name="image"; filename="a b; c"\r\nContent-Type: x',
        b"Content-Type: x\r\nContent-Disposition:  form-data;name=image;filename=a",
        b'Content-Disposition: form-data; filename="a"; name="image"',
        b"Content-Disposition: form-data; name=\"image\"; filename*=UTF-8''a%20b",
    ],
)
def test_heads(head: bytes) -> None:
    body = form(b"a preamble", b"--b", head, b"", b"data", b"--b--", b"after it")
    (part,) = parse_multipart(body, TYPE)
    assert (part.name, part.data) == ("image", b"data")


def test_names_that_are_escaped() -> None:
    body = form(b"--b", b'Content-Disposition: form-data; name="a%22b"', b"", b"", b"--b--")
    assert parse_multipart(body, TYPE) == [FormPart('a"b', b"", False)]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "boundary"),
        (b"--c--", "boundary"),
        (b"--b", "last boundary"),
        (form(b"--b", b'Content-Disposition: form-data; name="a"', b"", b"x"), "last boundary"),
        (form(b"--b", b"", b"x", b"--b--"), "Content-Disposition|header"),
        (form(b"--b", b"X: y", b"", b"x", b"--b--"), "Content-Disposition"),
        (form(b"--b", b"Content-Disposition: form-data", b"", b"x", b"--b--"), "no name"),
        (form(b"--b", b'Content-Disposition: attachment; name="a"', b"", b"", b"--b--"), "no name"),
    ],
)
def test_what_is_no_form(body: bytes, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        parse_multipart(body, TYPE)


def test_no_boundary() -> None:
    with pytest.raises(InvalidRequest, match="boundary"):
        parse_multipart(b"--b--", "multipart/form-data")


def test_more_parts_than_are_taken() -> None:
    one = form(b"--b", b'Content-Disposition: form-data; name="a"', b"", b"x", b"")
    with pytest.raises(InvalidRequest, match="more than 256"):
        parse_multipart(one * 300 + b"--b--", TYPE)


def test_text_that_is_none() -> None:
    body = form(b"--b", b'Content-Disposition: form-data; name="a"', b"", b"\xff", b"--b--")
    (part,) = parse_multipart(body, TYPE)
    with pytest.raises(InvalidRequest, match="UTF-8"):
        _ = part.text


def test_any_damage_is_a_form_or_a_problem() -> None:
    whole = form(
        b"--b", b'Content-Disposition: form-data; name="a"; filename="b"', b"", b"data", b"--b--"
    )
    chance = random.Random(7)
    for _ in range(3000):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        with contextlib.suppress(InvalidRequest):
            parse_multipart(bytes(damaged[: chance.randint(0, len(damaged))]), TYPE)
