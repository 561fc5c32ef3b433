"""From the forms an image can arrive in (bytes, data URI, bare base64, address) to its bytes."""

import re
from urllib.parse import unquote

import pybase64

from app.errors import ForbiddenUrl, InvalidParameter, UnreadableImage
from app.images.fetch import Fetcher

_DATA_URI = re.compile(r"data:[^,;]*(;[^,;]*)*,", re.IGNORECASE)
LINE_LENGTHS = {60, 64, 72, 76}  # of PEM, MIME and what mail programs make of them
_URL_SAFE = str.maketrans("-_", "+/")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


async def from_text(text: str, index: int, fetcher: Fetcher | None) -> bytes:
    """The bytes behind one `image` string: base64, a data URI, or an address.

    Raises:
        ForbiddenUrl: it is an address, and there is no fetcher or it may not be fetched.
        InvalidParameter: it is not base64.
        Problem: as `Fetcher.fetch` does.
    """
    text = text.strip()
    if not _URL.match(text):
        return from_bytes(_decoded(text, index), index)
    if fetcher is None:
        raise ForbiddenUrl(
            f"image[{index}] is an address, and this server fetches none (ALLOW_URL_FETCH is off). "
            "Send the image itself, as a file or as base64."
        )
    return from_bytes(await fetcher.fetch(text, index), index)


def _decoded(text: str, index: int) -> bytes:
    if "%" in text:  # percent-encoded by a client that put it in a form or a query
        text = unquote(text)
    if head := _DATA_URI.match(text):
        if not head[0].lower().endswith(";base64,"):
            raise InvalidParameter(f"image[{index}]: a data URI must be base64.", parameter="image")
        text = text[head.end() :]
    text = _plus_signs("".join(text.splitlines()).replace("\t", "")).rstrip("=")
    try:
        # Clients that strip the padding, or use the url-safe alphabet, mean the same bytes.
        padded = text.translate(_URL_SAFE) + "=" * (-len(text) % 4)
        return pybase64.b64decode(padded, validate=True)
    except ValueError:
        raise InvalidParameter(
            f"image[{index}] is neither base64 nor a data URI.", parameter="image"
        ) from None


def _plus_signs(text: str) -> str:
    """Base64 whose plus signs were decoded as those of a form, to spaces; spaces between lines
    of the usual length are dropped."""
    if " " not in text:
        return text
    wrapped = {len(line) for line in text.split(" ")[:-1]}
    return text.replace(" ", "" if wrapped <= LINE_LENGTHS else "+")


def from_bytes(data: bytes, index: int) -> bytes:
    """The bytes themselves, where there are any.

    Raises:
        UnreadableImage: the file is empty.
    """
    if not data:
        raise UnreadableImage(f"image[{index}] is empty.")
    return data
