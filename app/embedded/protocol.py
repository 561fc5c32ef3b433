"""Ollama's HTTP objects: what a request must be, and what answers look like.

Shapes, statuses and messages are those of Ollama 0.9.3, as seen on a real daemon.
"""

import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

VERSION = "0.9.3-embedded"
MODEL = "embedded"
CONTEXT_LENGTH = 32768
CAPABILITIES = ("completion", "vision")
DETAILS = {
    "parent_model": "",
    "format": "onnx",
    "family": "embedded",
    "families": ["embedded"],
    "parameter_size": "7.8M",
    "quantization_level": "F32",
}
NEVER = "2318-01-01T00:00:00Z"  # as the daemon puts it where a model stays loaded
SPACE_OR_PIECE = re.compile(r"\s*(?:\w+|[^\w\s])|\s+$")
# Go's time.ParseDuration; a bare number is seconds.
DURATION = re.compile(r"[-+]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+)")
GO_KINDS = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "bool",
    int: "number",
    float: "number",
}
FIELDS = {
    "model": (str, "string"),
    "messages": (list, "[]api.Message"),
    "stream": (bool, "bool"),
    "think": (bool, "bool"),
    "options": (dict, "map[string]interface {}"),
    "tools": (list, "api.Tools"),
}
MESSAGE_FIELDS = {
    "role": (str, "string"),
    "content": (str, "string"),
    "images": (list, "[]api.ImageData"),
}


class ProtocolError(Exception):
    """A request that Ollama answers with `status` and `{"error": message}`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Format:
    """The answer is to be JSON: after a `schema`, or any where that is None."""

    schema: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A chat; `text` is the last user message, `images` those of the last message that has any.

    `limit` is `num_predict` in pieces, None for no limit. `prompt_pieces` counts the text of all
    messages. `load` and `unload`: there are no messages, the model is only to come or go.
    """

    model: str
    stream: bool
    text: str
    images: tuple[bytes, ...]
    limit: int | None
    prompt_pieces: int
    load: bool
    unload: bool
    format: Format | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """What the last object of an answer tells; durations in seconds.

    A piece is a word, a number or a punctuation mark; the end of the answer counts one, as the
    end-of-turn token does in Ollama. An image counts one for each 32 x 32 pixels begun.
    """

    prompt_pieces: int
    pieces: int
    load_s: float
    prompt_s: float
    answer_s: float
    total_s: float


def pieces(text: str) -> Iterator[str]:
    """The text cut into pieces, each with the white space before it; joined they are the text."""
    return (match[0] for match in SPACE_OR_PIECE.finditer(text))


def parse(body: bytes, kind: str = "ChatRequest") -> dict[str, Any]:
    """The JSON object of a body.

    Raises:
        ProtocolError: 400, as Go's decoder says it.
    """
    if not body.strip():
        raise ProtocolError(400, "missing request body")
    try:
        value = json.loads(body)
    except (UnicodeDecodeError, RecursionError):
        raise ProtocolError(400, "invalid character in string literal") from None
    except json.JSONDecodeError as error:
        if error.pos >= len(error.doc.rstrip()) or "Unterminated" in error.msg:
            raise ProtocolError(400, "unexpected EOF") from None
        character = error.doc[error.pos]
        raise ProtocolError(
            400, f"invalid character '{character}' looking for beginning of value"
        ) from None
    if not isinstance(value, dict):
        raise ProtocolError(400, _mismatch(value, f"value of type api.{kind}"))
    return value


def chat_request(body: bytes) -> ChatRequest:
    """The chat that a body asks for.

    Raises:
        ProtocolError: 400 for what is malformed, 404 for another model, 500 for an option of the
            wrong type (as Ollama does).
    """
    request = parse(body)
    _check(request, FIELDS, "ChatRequest")
    messages = request.get("messages") or []
    for message in messages:
        if not isinstance(message, dict):
            raise ProtocolError(
                400, _mismatch(message, "struct field ChatRequest.messages of type api.Message")
            )
        _check(message, MESSAGE_FIELDS, "ChatRequest.messages")
    images = [tuple(map(_image, message.get("images") or ())) for message in messages]
    forever = _forever(request.get("keep_alive"))
    model = known_model(request, quote='"', hint=", try pulling it first")
    if request.get("think"):
        raise ProtocolError(400, f'"{MODEL}" does not support thinking')
    if request.get("tools"):
        raise ProtocolError(400, f'"{MODEL}" does not support tools')
    users = [message.get("content") or "" for message in messages if message.get("role") == "user"]
    text = " ".join(message.get("content") or "" for message in messages)
    return ChatRequest(
        model=model,
        stream=request.get("stream") is not False,
        text=users[-1] if users else "",
        images=next(filter(None, reversed(images)), ()),
        limit=_limit(request.get("options") or {}),
        prompt_pieces=sum(1 for _ in pieces(text)),
        load=not messages and forever,
        unload=not messages and not forever,
        format=_format(request.get("format")),
    )


def known_model(request: dict[str, Any], quote: str = "'", hint: str = "") -> str:
    """The model's name as it was sent.

    Raises:
        ProtocolError: 400 without a name, 404 for any but this engine's.
    """
    name = request.get("model") or request.get("name") or ""
    if not isinstance(name, str) or not name.strip():
        raise ProtocolError(400, "model is required")
    if name.lower() not in (MODEL, f"{MODEL}:latest"):
        raise ProtocolError(404, f"model {quote}{name}{quote} not found{hint}")
    return name


def delta(model: str, content: str) -> dict[str, Any]:
    """One line of a stream."""
    message = {"role": "assistant", "content": content}
    return {"model": model, "created_at": now(), "message": message, "done": False}


def done(model: str, content: str, reason: str, counts: Counts | None = None) -> dict[str, Any]:
    """The last object of an answer; without counts, that of a load or unload."""
    answer = {**delta(model, content), "done_reason": reason, "done": True}
    if counts is not None:
        answer |= {
            "total_duration": round(counts.total_s * 1e9),
            "load_duration": round(counts.load_s * 1e9),
            "prompt_eval_count": counts.prompt_pieces,
            "prompt_eval_duration": round(counts.prompt_s * 1e9),
            "eval_count": counts.pieces,
            "eval_duration": round(counts.answer_s * 1e9),
        }
    return answer


def model_entry(digest: str, size: int, **more: Any) -> dict[str, Any]:
    """The model as /api/tags and /api/ps list it."""
    name = f"{MODEL}:latest"
    return {"name": name, "model": name, "size": size, "digest": digest, "details": DETAILS, **more}


def show(modified: str) -> dict[str, Any]:
    return {
        "license": "Apache-2.0",
        "modelfile": f"# {MODEL}: the reader of `python -m app.embedded`",
        "template": "{{ .Prompt }}",
        "details": DETAILS,
        "model_info": {
            "general.architecture": "embedded",
            "general.basename": "PP-OCRv6 small, Tesseract kor, NanoDet, EfficientNet-Lite0",
            "embedded.context_length": CONTEXT_LENGTH,
        },
        "capabilities": list(CAPABILITIES),
        "modified_at": modified,
    }


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _check(value: dict[str, Any], fields: Mapping[str, tuple[type, str]], struct: str) -> None:
    for name, (kind, go_type) in fields.items():
        given = value.get(name)
        if given is not None and not isinstance(given, kind):
            raise ProtocolError(
                400, _mismatch(given, f"struct field {struct}.{name} of type {go_type}")
            )


def _mismatch(value: object, target: str) -> str:
    kind = "bool" if isinstance(value, bool) else GO_KINDS.get(type(value), "null")
    return f"json: cannot unmarshal {kind} into Go {target}"


def _image(text: object) -> bytes:
    """Standard base64 with padding; line breaks are passed over, as Go does."""
    if not isinstance(text, str):
        target = "struct field ChatRequest.messages.images of type api.ImageData"
        raise ProtocolError(400, _mismatch(text, target))
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


def _limit(options: dict[str, Any]) -> int | None:
    limit = options.get("num_predict")
    if limit is None:
        return None
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        raise ProtocolError(500, 'option "num_predict" must be of type integer')
    return int(limit) if limit > 0 else None


def _format(given: object) -> Format | None:
    if given is None or given == "":
        return None
    if given == "json":
        return Format(None)
    if isinstance(given, dict):
        return Format(given)
    raw = json.dumps(json.dumps(given, ensure_ascii=False), ensure_ascii=False)
    expected = 'expected "json" or a valid JSON Schema object'
    raise ProtocolError(500, f"invalid format: {raw}; {expected}")


def _forever(keep_alive: object) -> bool:
    """False for a keep_alive of zero, which with no messages unloads."""
    if keep_alive is None or isinstance(keep_alive, int | float):
        return keep_alive is None or keep_alive != 0
    if not isinstance(keep_alive, str) or not DURATION.fullmatch(keep_alive):
        raise ProtocolError(400, f'time: invalid duration "{keep_alive}"')
    return bool(re.search(r"[1-9]", keep_alive))
