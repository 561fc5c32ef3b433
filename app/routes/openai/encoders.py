"""Response formats of OpenAI's chat completions: one object, or chunks."""

import time
from typing import Any

import orjson

from app.pipeline.events import Delta, Done, Event, Reasoning, Start
from app.routes.encoders import Encoder, server_timing
from app.schemas import Answer


def openai_usage(answer: Answer) -> dict[str, Any]:
    """Token counts under OpenAI's names."""
    spent = answer.usage
    return {
        "prompt_tokens": spent.prompt_tokens,
        "completion_tokens": spent.completion_tokens,
        "total_tokens": spent.prompt_tokens + spent.completion_tokens,
        "completion_tokens_details": {"reasoning_tokens": spent.reasoning_tokens},
    }


def vendor_extras(answer: Answer) -> dict[str, Any]:
    """Fields without a place in OpenAI's objects: images as sent, timings, warnings."""
    return answer.model_dump(include={"images", "timings", "cached", "warnings"})


class _ChatEncoder(Encoder):
    """Common part of both formats. `created` is Unix time in seconds."""

    def __init__(self) -> None:
        self.created = int(time.time())
        self.ident = self.model = ""

    def start(self, event: Start) -> None:
        self.ident, self.model = f"chatcmpl-{event.id.removeprefix('req_')}", event.model

    def completion_object(
        self, kind: str, choices: list[dict[str, Any]], **more: Any
    ) -> dict[str, Any]:
        head = {"id": self.ident, "object": kind, "created": self.created, "model": self.model}
        return {**head, "system_fingerprint": None, "choices": choices, **more}


class ChatCompletionEncoder(_ChatEncoder):
    """`chat.completion`: the whole answer at once."""

    def __init__(self) -> None:
        super().__init__()
        self._reasoning: list[str] = []

    def encode(self, event: Event) -> bytes:
        match event:
            case Start():
                self.start(event)
            case Reasoning():
                self._reasoning.append(event.text)
            case Done():
                return orjson.dumps(self._completion(event.answer))
        return b""

    def headers(self, event: Event) -> dict[str, str]:
        if not isinstance(event, Done):
            return {}
        return {"server-timing": server_timing(event.answer.timings)}

    def _completion(self, answer: Answer) -> dict[str, Any]:
        message = {"role": "assistant", "content": answer.text, "refusal": None}
        if self._reasoning:
            message["reasoning_content"] = "".join(self._reasoning)
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": answer.finish_reason,
        }
        more = {"usage": openai_usage(answer), "vlm": vendor_extras(answer)}
        return self.completion_object("chat.completion", [choice], **more)


class ChatChunkEncoder(_ChatEncoder):
    """`chat.completion.chunk`s as server-sent events: role, text, finish reason, token counts if
    requested, `[DONE]`. An error is sent as an event and ends the stream.

    Nothing is sent before the first text, so that an earlier failure has its own HTTP status.
    """

    media_type = "text/event-stream"
    keep_alive = b": waiting\n\n"

    def __init__(self, include_usage: bool) -> None:
        super().__init__()
        self._usage_field = {"usage": None} if include_usage else {}
        self._role_sent = False

    def encode(self, event: Event) -> bytes:
        match event:
            case Start():
                self.start(event)
            case Delta():
                return self._delta({"content": event.text})
            case Reasoning():
                return self._delta({"reasoning_content": event.text})
            case Done():
                return self._end(event.answer)
        return b""

    def encode_error(self, problem: dict[str, Any]) -> bytes:
        return _sse_data(problem)

    def _delta(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        first = b""
        if not self._role_sent:
            self._role_sent = True
            first = self._delta({"role": "assistant", "content": "", "refusal": None})
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return first + _sse_data(
            self.completion_object("chat.completion.chunk", [choice], **self._usage_field)
        )

    def _end(self, answer: Answer) -> bytes:
        end = self._delta({}, answer.finish_reason)
        if self._usage_field:
            more = {"usage": openai_usage(answer), "vlm": vendor_extras(answer)}
            end += _sse_data(self.completion_object("chat.completion.chunk", [], **more))
        return end + b"data: [DONE]\n\n"


def _sse_data(payload: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(payload)
