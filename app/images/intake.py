"""From the forms an image can arrive in (bytes, data URI, bare base64) to its bytes."""

import re

import pybase64

from app.errors import ForbiddenUrl, InvalidParameter, UnreadableImage

_DATA_URI = re.compile(r"data:[^,;]*(;[^,;]*)*,", re.IGNORECASE)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def from_text(text: str, index: int) -> bytes:
    """The bytes behind one JSON `image` string.

    Raises:
        ForbiddenUrl: it is an address; this server fetches none.
        InvalidParameter: it is not base64.
    """
    text = text.strip()
    if _URL.match(text):
        raise ForbiddenUrl(
            f"image[{index}] is an address, and this server fetches none. "
            "Send the image itself, as a file or as base64."
        )
    if head := _DATA_URI.match(text):
        if not head[0].lower().endswith(";base64,"):
            raise InvalidParameter(f"image[{index}]: a data URI must be base64.", parameter="image")
        text = text[head.end() :]
    text = "".join(text.split())
    try:
        # Clients that strip the padding mean the same bytes.
        data = pybase64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise InvalidParameter(
            f"image[{index}] is neither base64 nor a data URI.", parameter="image"
        ) from None
    return from_bytes(data, index)


def from_bytes(data: bytes, index: int) -> bytes:
    """The bytes themselves, where there are any.

    Raises:
        UnreadableImage: the file is empty.
    """
    if not data:
        raise UnreadableImage(f"image[{index}] is empty.")
    return data
