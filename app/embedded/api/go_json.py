"""Parses JSON like Go's decoder in Ollama: the same bodies are rejected with the same messages."""

import binascii
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from app.embedded.api.errors import ApiError

GO_TYPE_NAMES = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "bool",
    int: "number",
    float: "number",
}
MAX_VALUES = 500_000  # in the JSON of one request
MAX_QUOTED_CHARS = 100  # of the request in an error message
NESTING_ERROR = "invalid character '[' exceeded max depth"


def parse_object(body: bytes, go_struct: str = "ChatRequest") -> dict[str, Any]:
    """Parses a body that must be a JSON object. As in Go, invalid UTF-8 becomes U+FFFD.

    Raises:
        ApiError: 400 with the message of Go's decoder.
    """
    if not body.strip():
        raise ApiError(400, "missing request body")
    # Each value takes time on the event loop. (Base64 contains none of these characters.)
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MAX_VALUES:
        raise ApiError(400, f"more than {MAX_VALUES} values")
    try:
        value = json.loads(
            body.decode(errors="replace"),
            parse_constant=_reject_constant,
            parse_float=_parse_float,
            parse_int=_parse_int,
        )
    except RecursionError:
        raise ApiError(400, NESTING_ERROR) from None
    except json.JSONDecodeError as error:
        if error.pos >= len(error.doc.rstrip()) or "Unterminated" in error.msg:
            raise ApiError(400, "unexpected EOF") from None
        character = error.doc[error.pos]
        raise ApiError(
            400, f"invalid character '{character}' looking for beginning of value"
        ) from None
    if not isinstance(value, dict):
        raise ApiError(400, type_mismatch(value, f"value of type api.{go_struct}"))
    return value


def _reject_constant(text: str) -> None:
    """Rejects NaN, Infinity and -Infinity, which are not JSON. Python accepts them, Go does not."""
    if text.startswith("-"):
        raise ApiError(400, f"invalid character '{text[1]}' in numeric literal")
    raise ApiError(400, f"invalid character '{text[0]}' looking for beginning of value")


def _parse_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        short = text if len(text) <= MAX_QUOTED_CHARS else f"{text[:MAX_QUOTED_CHARS]}..."
        raise ApiError(400, f"json: cannot unmarshal number {short} into Go value of type float64")
    return value


def _parse_int(text: str) -> int:
    _parse_float(text)
    return int(text)  # at most 309 digits now


def check_types(value: dict[str, Any], fields: Mapping[str, tuple[type, str]], struct: str) -> None:
    """Raise ApiError where a field has another type than Go's struct."""
    for name, (python_type, go_type) in fields.items():
        given = value.get(name)
        if given is not None and not isinstance(given, python_type):
            raise ApiError(
                400, type_mismatch(given, f"struct field {struct}.{name} of type {go_type}")
            )


def type_mismatch(value: object, target: str) -> str:
    """The message of Go's JSON decoder for a value of the wrong type."""
    go_name = "bool" if isinstance(value, bool) else GO_TYPE_NAMES.get(type(value), "null")
    return f"json: cannot unmarshal {go_name} into Go {target}"


def decode_base64(text: object) -> bytes:
    """Decodes padded standard base64. As in Go, line breaks are ignored."""
    if text is None:
        return b""
    if not isinstance(text, str):
        target = "struct field ChatRequest.messages.images of type api.ImageData"
        raise ApiError(400, type_mismatch(text, target))
    try:
        return binascii.a2b_base64(
            text.replace("\n", "").replace("\r", "").encode("ascii"), strict_mode=True
        )
    except (binascii.Error, UnicodeEncodeError):
        raise ApiError(400, f"illegal base64 data at input byte {_illegal_offset(text)}") from None


def _illegal_offset(text: str) -> int:
    """The offset that Go reports: the first illegal character, else the last incomplete group."""
    bare = text.rstrip("=\r\n")
    if wrong := re.search(r"[^A-Za-z0-9+/\r\n]", bare):
        return wrong.start()
    short = len(re.sub(r"[\r\n]", "", bare)) % 4
    return len(text) - short if short else len(bare)
