"""The body of a request: a form with files, or JSON where one of them is an address."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

Image = Path | bytes | str  # a file, its bytes, or an http(s) address


def is_url(text: str) -> bool:
    """Whether it is an http(s) URL."""
    return text.lower().startswith(("http://", "https://"))


def request_arguments(images: Sequence[Image], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of httpx for one request. Fields that are None are left out.

    Files go as they are, in multipart: base64 would make them a third larger. An address can
    only be told in JSON, and what is beside it goes along there.

    Raises:
        OSError: a file cannot be read.
    """
    present = {name: value for name, value in fields.items() if value is not None}
    files = [image for image in images if not isinstance(image, str)]
    if len(files) < len(images):
        return {"json": {**present, "image": list(map(_json_image, images))}}
    # The name of a file is nobody's business: the server looks at its bytes.
    parts = [("image", ("image", _read(file))) for file in files]
    return {"files": parts, "data": {name: _form_value(value) for name, value in present.items()}}


def _read(image: Path | bytes) -> bytes:
    return image if isinstance(image, bytes) else image.read_bytes()


def _json_image(image: Image) -> str:
    """As JSON has it: an address as it is, else base64."""
    return image if isinstance(image, str) else base64.b64encode(_read(image)).decode()


def _form_value(value: Any) -> Any:
    """A form has only text: objects as their JSON, lists as the same name several times."""
    match value:
        case bool():
            return "true" if value else "false"
        case Mapping():
            return orjson.dumps(value).decode()
        case list() | tuple():
            return [str(one) for one in value]
        case _:
            return str(value)
