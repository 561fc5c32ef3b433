"""Parses and checks the body of `/api/chat`.

Statuses and messages are those of Ollama 0.9.3, recorded from the real daemon.
"""

import json
import re
from dataclasses import dataclass
from itertools import islice
from typing import Any

from app.embedded.api.errors import ApiError
from app.embedded.api.go_json import (
    MAX_QUOTED_CHARS,
    check_types,
    decode_base64,
    parse_object,
    type_mismatch,
)
from app.embedded.api.model_info import CONTEXT_LENGTH, MODEL
from app.embedded.api.options import check_options
from app.embedded.api.tokens import split_tokens

# Go's time.ParseDuration. A bare number is in seconds.
DURATION = re.compile(r"[-+]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+)")
MAX_COUNTED_CHARS = 200_000  # usually more than CONTEXT_LENGTH tokens
MAX_MESSAGE_CHARS = 20_000  # characters of a message that are parsed
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
class ResponseFormat:
    """The answer must be JSON that follows `schema`, or any JSON if `schema` is None."""

    schema: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A chat request.

    `text` is the last user message. `images` are those of the last message with images.
    `max_tokens` is `num_predict`, None for no limit. `prompt_tokens` counts the text of all
    messages. `load` and `unload` are true for a request without messages, which only loads or
    unloads the model.
    """

    model: str
    stream: bool
    text: str
    images: tuple[bytes, ...]
    max_tokens: int | None
    prompt_tokens: int
    load: bool
    unload: bool
    format: ResponseFormat | None = None


def parse_chat_request(body: bytes) -> ChatRequest:
    """Parses the body of `/api/chat`.

    Raises:
        ApiError: 400 for a malformed request, 404 for an unknown model, 500 for an option of the
            wrong type (as in Ollama).
    """
    request = parse_object(body)
    check_types(request, FIELDS, "ChatRequest")
    messages = [{} if message is None else message for message in request.get("messages") or ()]
    for message in messages:
        if not isinstance(message, dict):
            raise ApiError(
                400, type_mismatch(message, "struct field ChatRequest.messages of type api.Message")
            )
        check_types(message, MESSAGE_FIELDS, "ChatRequest.messages")
    images = [tuple(map(decode_base64, message.get("images") or ())) for message in messages]
    keeps_loaded = _keeps_loaded(request.get("keep_alive"))
    model = requested_model(request, quote='"', hint=", try pulling it first")
    if request.get("think"):
        raise ApiError(400, f'"{MODEL}" does not support thinking')
    if request.get("tools"):
        raise ApiError(400, f'"{MODEL}" does not support tools')
    users = [message.get("content") or "" for message in messages if message.get("role") == "user"]
    text = " ".join(message.get("content") or "" for message in messages)[:MAX_COUNTED_CHARS]
    return ChatRequest(
        model=model,
        stream=request.get("stream") is not False,
        text=users[-1][:MAX_MESSAGE_CHARS] if users else "",
        images=next(filter(None, reversed(images)), ()),
        max_tokens=_max_tokens(request.get("options") or {}),
        prompt_tokens=sum(1 for _ in islice(split_tokens(text), CONTEXT_LENGTH)),
        load=not messages and keeps_loaded,
        unload=not messages and not keeps_loaded,
        format=_response_format(request.get("format")),
    )


def requested_model(request: dict[str, Any], quote: str = "'", hint: str = "") -> str:
    """The requested model's name, spelled as in the request.

    Raises:
        ApiError: 400 without a name, 404 for a model other than this engine's.
    """
    name = request.get("model") or request.get("name") or ""
    if not isinstance(name, str) or not name.strip():
        raise ApiError(400, "model is required")
    if name.lower() not in (MODEL, f"{MODEL}:latest"):
        raise ApiError(404, f"model {quote}{name[:MAX_QUOTED_CHARS]}{quote} not found{hint}")
    return name


def _max_tokens(options: dict[str, Any]) -> int | None:
    check_options(options)
    max_tokens = options.get("num_predict")
    return int(max_tokens) if max_tokens is not None and max_tokens > 0 else None


def _response_format(given: object) -> ResponseFormat | None:
    if given is None or given == "":
        return None
    if given == "json":
        return ResponseFormat(None)
    if isinstance(given, dict):
        return ResponseFormat(given)
    raw = json.dumps(json.dumps(given, ensure_ascii=False), ensure_ascii=False)
    expected = 'expected "json" or a valid JSON Schema object'
    raise ApiError(500, f"invalid format: {raw[:MAX_QUOTED_CHARS]}; {expected}")


def _keeps_loaded(keep_alive: object) -> bool:
    """False for a keep_alive of zero, which unloads the model if there are no messages."""
    if isinstance(keep_alive, bool | list | dict):
        go_type = {bool: "bool", list: "[]interface {}", dict: "map[string]interface {}"}
        raise ApiError(400, f"Unsupported type: '{go_type[type(keep_alive)]}'")
    if keep_alive is None or isinstance(keep_alive, int | float):
        return keep_alive is None or keep_alive != 0
    text = str(keep_alive)
    if len(text) > MAX_QUOTED_CHARS or not DURATION.fullmatch(text):
        raise ApiError(400, f'time: invalid duration "{text[:MAX_QUOTED_CHARS]}"')
    return bool(re.search(r"[1-9]", text))
