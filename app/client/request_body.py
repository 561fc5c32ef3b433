"""Request bodies: multipart with files, or JSON if an image is a URL."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

# The formats of the server (app/images/formats.py). They select files in folders; a file that is
# named directly is sent whatever its suffix, because the server detects the format.
IMAGE_SUFFIXES = frozenset(
    ".jpg .jpeg .jfif .png .webp .gif .bmp .tif .tiff .avif .heic .heif .pdf".split()  # noqa: SIM905
)
Image = Path | bytes | str  # a file, its bytes, or an http(s) URL


def is_url(text: str) -> bool:
    """Whether it is an http(s) URL."""
    return text.lower().startswith(("http://", "https://"))


def request_arguments(images: Sequence[Image], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of httpx for one request. Fields that are None are omitted.

    Files are sent as multipart, because base64 makes them a third larger. A URL needs JSON, so
    files next to it are sent as base64.

    Raises:
        OSError: a file cannot be read.
    """
    present = {name: value for name, value in fields.items() if value is not None}
    files = [image for image in images if not isinstance(image, str)]
    if len(files) < len(images):
        return {"json": {**present, "image": list(map(_json_image, images))}}
    # File names are not sent: the server detects the format from the bytes.
    parts = [("image", ("image", _read(file))) for file in files]
    return {"files": parts, "data": {name: _form_value(value) for name, value in present.items()}}


def _read(image: Path | bytes) -> bytes:
    return image if isinstance(image, bytes) else image.read_bytes()


def _json_image(image: Image) -> str:
    """The JSON value of an image: a URL unchanged, else base64."""
    return image if isinstance(image, str) else base64.b64encode(_read(image)).decode()


def _form_value(value: Any) -> Any:
    """The value of a form field: objects as JSON, lists as repeated fields."""
    match value:
        case bool():
            return "true" if value else "false"
        case Mapping():
            return orjson.dumps(value).decode()
        case list() | tuple():
            return [str(one) for one in value]
        case _:
            return str(value)
