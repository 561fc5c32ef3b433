"""JSON as Go's decoder takes it for Ollama: the same bodies are refused, in the same words."""

import binascii
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from app.embedded.api.errors import ProtocolError

GO_KINDS = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "bool",
    int: "number",
    float: "number",
}
MAX_VALUES = 500_000  # of a request's JSON
MAX_QUOTED = 100  # characters of a request in an error
TOO_DEEP = "invalid character '[' exceeded max depth"


def parse(body: bytes, kind: str = "ChatRequest") -> dict[str, Any]:
    """The JSON object of a body; as in Go, bytes that are no UTF-8 become U+FFFD.

    Raises:
        ProtocolError: 400, as Go's decoder says it.
    """
    if not body.strip():
        raise ProtocolError(400, "missing request body")
    # Each costs time on the event loop. (Base64 has none of these characters.)
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MAX_VALUES:
        raise ProtocolError(400, f"more than {MAX_VALUES} values")
    try:
        value = json.loads(
            body.decode(errors="replace"),
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_integer,
        )
    except RecursionError:
        raise ProtocolError(400, TOO_DEEP) from None
    except json.JSONDecodeError as error:
        if error.pos >= len(error.doc.rstrip()) or "Unterminated" in error.msg:
            raise ProtocolError(400, "unexpected EOF") from None
        character = error.doc[error.pos]
        raise ProtocolError(
            400, f"invalid character '{character}' looking for beginning of value"
        ) from None
    if not isinstance(value, dict):
        raise ProtocolError(400, mismatch(value, f"value of type api.{kind}"))
    return value


def _constant(text: str) -> None:
    """NaN, Infinity and -Infinity are not JSON; Python reads them, Go does not."""
    if text.startswith("-"):
        raise ProtocolError(400, f"invalid character '{text[1]}' in numeric literal")
    raise ProtocolError(400, f"invalid character '{text[0]}' looking for beginning of value")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        short = text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}..."
        raise ProtocolError(
            400, f"json: cannot unmarshal number {short} into Go value of type float64"
        )
    return value


def _integer(text: str) -> int:
    _float(text)
    return int(text)  # at most 309 digits now


def check(value: dict[str, Any], fields: Mapping[str, tuple[type, str]], struct: str) -> None:
    for name, (kind, go_type) in fields.items():
        given = value.get(name)
        if given is not None and not isinstance(given, kind):
            raise ProtocolError(
                400, mismatch(given, f"struct field {struct}.{name} of type {go_type}")
            )


def mismatch(value: object, target: str) -> str:
    kind = "bool" if isinstance(value, bool) else GO_KINDS.get(type(value), "null")
    return f"json: cannot unmarshal {kind} into Go {target}"


def image(text: object) -> bytes:
    """Standard base64 with padding; line breaks are passed over, as Go does."""
    if text is None:
        return b""
    if not isinstance(text, str):
        target = "struct field ChatRequest.messages.images of type api.ImageData"
        raise ProtocolError(400, mismatch(text, target))
    try:
        return binascii.a2b_base64(
            text.replace("\n", "").replace("\r", "").encode("ascii"), strict_mode=True
        )
    except (binascii.Error, UnicodeEncodeError):
        raise ProtocolError(400, f"illegal base64 data at input byte {_illegal(text)}") from None


def _illegal(text: str) -> int:
    """Where Go's decoder stops: at the first wrong character, else before the last, short group."""
    bare = text.rstrip("=\r\n")
    if wrong := re.search(r"[^A-Za-z0-9+/\r\n]", bare):
        return wrong.start()
    short = len(re.sub(r"[\r\n]", "", bare)) % 4
    return len(text) - short if short else len(bare)
