"""Ollama's HTTP objects: what a request must be, and what answers look like.

Shapes, statuses and messages are those of Ollama 0.9.3, as seen on a real daemon.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from app.embedded.api.go_json import MAX_QUOTED, ProtocolError, check, image, mismatch, parse
from app.embedded.api.options import check_options

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
MAX_TEXT = 200_000  # characters that are counted; usually more than CONTEXT_LENGTH pieces
MAX_MESSAGE = 20_000  # characters that are understood
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


def chat_request(body: bytes) -> ChatRequest:
    """The chat that a body asks for.

    Raises:
        ProtocolError: 400 for what is malformed, 404 for another model, 500 for an option of the
            wrong type (as Ollama does).
    """
    request = parse(body)
    check(request, FIELDS, "ChatRequest")
    messages = [{} if message is None else message for message in request.get("messages") or ()]
    for message in messages:
        if not isinstance(message, dict):
            raise ProtocolError(
                400, mismatch(message, "struct field ChatRequest.messages of type api.Message")
            )
        check(message, MESSAGE_FIELDS, "ChatRequest.messages")
    images = [tuple(map(image, message.get("images") or ())) for message in messages]
    forever = _forever(request.get("keep_alive"))
    model = known_model(request, quote='"', hint=", try pulling it first")
    if request.get("think"):
        raise ProtocolError(400, f'"{MODEL}" does not support thinking')
    if request.get("tools"):
        raise ProtocolError(400, f'"{MODEL}" does not support tools')
    users = [message.get("content") or "" for message in messages if message.get("role") == "user"]
    text = " ".join(message.get("content") or "" for message in messages)[:MAX_TEXT]
    return ChatRequest(
        model=model,
        stream=request.get("stream") is not False,
        text=users[-1][:MAX_MESSAGE] if users else "",
        images=next(filter(None, reversed(images)), ()),
        limit=_limit(request.get("options") or {}),
        prompt_pieces=sum(1 for _ in islice(pieces(text), CONTEXT_LENGTH)),
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
        raise ProtocolError(404, f"model {quote}{name[:MAX_QUOTED]}{quote} not found{hint}")
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


def _limit(options: dict[str, Any]) -> int | None:
    check_options(options)
    limit = options.get("num_predict")
    return int(limit) if limit is not None and limit > 0 else None


def _format(given: object) -> Format | None:
    if given is None or given == "":
        return None
    if given == "json":
        return Format(None)
    if isinstance(given, dict):
        return Format(given)
    raw = json.dumps(json.dumps(given, ensure_ascii=False), ensure_ascii=False)
    expected = 'expected "json" or a valid JSON Schema object'
    raise ProtocolError(500, f"invalid format: {raw[:MAX_QUOTED]}; {expected}")


def _forever(keep_alive: object) -> bool:
    """False for a keep_alive of zero, which with no messages unloads."""
    if isinstance(keep_alive, bool | list | dict):
        go_type = {bool: "bool", list: "[]interface {}", dict: "map[string]interface {}"}
        raise ProtocolError(400, f"Unsupported type: '{go_type[type(keep_alive)]}'")
    if keep_alive is None or isinstance(keep_alive, int | float):
        return keep_alive is None or keep_alive != 0
    text = str(keep_alive)
    if len(text) > MAX_QUOTED or not DURATION.fullmatch(text):
        raise ProtocolError(400, f'time: invalid duration "{text[:MAX_QUOTED]}"')
    return bool(re.search(r"[1-9]", text))
