"""Returns the bytes of an image that is sent as a file, a data URI, bare base64 or a URL."""

import re
from urllib.parse import unquote

import pybase64

from app.errors import ForbiddenUrl, InvalidParameter, UnreadableImage
from app.images.fetch import Fetcher

MAX_URI_HEAD = 1024  # characters of a data URI before its data
# The head of a data URI whose punctuation may be percent-encoded by a form or a query string.
_HEAD = re.compile(r"data(?::|%3a)[^,]{0,1000}?(?:,|%2c)", re.IGNORECASE)
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_ENCODED = {b"%2b": b"+", b"%2f": b"/", b"%3d": b"=", b"%0a": b"", b"%0d": b"", b"%20": b" "}
LINE_LENGTHS = {60, 64, 72, 76}  # characters of a base64 line in PEM, in MIME and by mail programs
_URL = re.compile(r"[a-z][a-z0-9+.-]{0,31}://", re.IGNORECASE)


def check_image_count(count: int, max_images: int) -> None:
    """Check the number of images in a request.

    Raises:
        InvalidParameter: there are more than `max_images`.
    """
    if count > max_images:
        raise InvalidParameter(
            f"{count} images are too many; a request may have at most {max_images}.",
            parameter="image",
        )


async def image_from_text(text: str, index: int, fetcher: Fetcher | None) -> bytes:
    """Return the bytes of one `image` string: base64, a data URI, or a URL.

    Raises:
        ForbiddenUrl: the string is a URL, and there is no fetcher or the URL is not allowed.
        InvalidParameter: the string is not base64.
        UnreadableImage: the file is empty.
        Problem: as `Fetcher.fetch`.
    """
    text = text.strip()
    if not _URL.match(text):
        return image_from_bytes(_decode_text(text, index), index)
    if fetcher is None:
        raise ForbiddenUrl(
            f"image[{index}] is a URL, and this server does not fetch URLs (ALLOW_URL_FETCH is "
            "off). Send the image itself, as a file or as base64."
        )
    return image_from_bytes(await fetcher.fetch(text, index), index)


def _decode_text(text: str, index: int) -> bytes:
    if text[:7].lower() == "data%3a" and (head := _HEAD.match(text)):
        text = unquote(head[0]) + text[head.end() :]
    if text[:5].lower() == "data:":
        comma = text.find(",", 5, MAX_URI_HEAD)
        if comma < 0:
            raise InvalidParameter(
                f"image[{index}]: the data URI has no comma in its first {MAX_URI_HEAD} "
                "characters.",
                parameter="image",
            )
        if not text[:comma].lower().endswith(";base64"):
            raise InvalidParameter(f"image[{index}]: a data URI must be base64.", parameter="image")
        text = text[comma + 1 :]
    try:
        return _decode_base64(text.encode("ascii"))
    except ValueError:
        raise InvalidParameter(
            f"image[{index}] is neither base64 nor a data URI.", parameter="image"
        ) from None


def _decode_base64(data: bytes) -> bytes:
    """Decode base64 in any of the variants that clients send.

    Raises:
        ValueError: the data is not base64.
    """
    try:
        return _decode_strict(data)
    except ValueError:
        bare = _restore_base64(data)
        if bare == data:
            raise
    return _decode_strict(bare)


def _restore_base64(data: bytes) -> bytes:
    """Undo the changes that forms, query strings and mail make to base64.

    Handled are percent-encoding, the URL-safe alphabet, line wrapping, and spaces in place of plus
    signs.
    """
    if b"%" in data:
        for written, meant in _ENCODED.items():
            data = data.replace(written, meant).replace(written.upper(), meant)
    data = data.translate(_URL_SAFE, b"\t\n\r\f\v")
    if b" " in data:
        wrapped = data.find(b" ") in LINE_LENGTHS
        data = data.replace(b" ", b"" if wrapped else b"+")
    return data.rstrip(b"=")


def _decode_strict(data: bytes) -> bytes:
    # Some clients omit the padding.
    return pybase64.b64decode(data + b"=" * (-len(data) % 4), validate=True)


def image_from_bytes(data: bytes, index: int) -> bytes:
    """Return the bytes of a file unchanged.

    Raises:
        UnreadableImage: the file is empty.
    """
    if not data:
        raise UnreadableImage(f"image[{index}] is empty.")
    return data
