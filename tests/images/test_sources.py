"""The variants of an image string."""

from urllib.parse import quote

import pytest

from app.errors import ForbiddenUrl, InvalidParameter, UnreadableImage
from app.images.sources import image_from_text
from tests.pictures import base64_of

DATA = bytes(range(200))
TEXT = base64_of(DATA)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.rstrip("="),
        f"  {TEXT}\n",
        "\n".join(TEXT[at : at + 76] for at in range(0, len(TEXT), 76)),
        f"data:image/png;base64,{TEXT}",
        f"DATA:image/jpeg;charset=x;BASE64,{TEXT}",
        f"data:;base64,{TEXT}",
    ],
)
async def test_forms(text: str) -> None:
    assert await image_from_text(text, 0, None) == DATA


@pytest.mark.parametrize(
    "text", ["https://a.test/x.png", "HTTP://127.0.0.1", "ftp://a", "file:///"]
)
async def test_addresses_are_not_fetched(text: str) -> None:
    with pytest.raises(ForbiddenUrl, match=r"image\[2\]"):
        await image_from_text(text, 2, None)


@pytest.mark.parametrize("text", ["?", "not base64!", "data:image/png,abc", "aaaaa", "한글"])
async def test_what_is_not_base64(text: str) -> None:
    with pytest.raises(InvalidParameter, match="base64"):
        await image_from_text(text, 0, None)


@pytest.mark.parametrize("text", ["", "  ", "data:image/png;base64,"])
async def test_empty(text: str) -> None:
    with pytest.raises(UnreadableImage, match="empty"):
        await image_from_text(text, 0, None)


# The base64 of these bytes has many "+" and "/".
MARKS = b"\x89PNG" + bytes([0xFB, 0xEF, 0xBE, 0xFF, 0xFE]) * 40 + b"end"
MARKED = base64_of(MARKS)


@pytest.mark.parametrize(
    "text",
    [
        MARKED.replace("+", "-").replace("/", "_"),
        MARKED.replace("+", "-").replace("/", "_").rstrip("="),
        quote(MARKED, safe=""),
        f"data:image/png;base64,{quote(MARKED, safe='')}",
        quote(f"data:image/png;base64,{MARKED}", safe=""),
        MARKED.replace("+", " "),
        f"data:image/png;base64,{MARKED.replace('+', ' ')}",
        " ".join(MARKED[at : at + 76] for at in range(0, len(MARKED), 76)),
        "\r\n".join(MARKED[at : at + 64] for at in range(0, len(MARKED), 64)),
    ],
)
async def test_base64_as_forms_and_addresses_change_it(text: str) -> None:
    assert "+" in MARKED
    assert await image_from_text(text, 0, None) == MARKS
