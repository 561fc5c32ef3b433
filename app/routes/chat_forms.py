"""Response formats of OpenAI's chat completions: one object, or chunks."""

import time
from typing import Any

import orjson

from app.routes.forms import Form, server_timing
from app.schemas import Answer
from app.tasks.events import Delta, Done, Event, Reasoning, Start


def usage_of(answer: Answer) -> dict[str, Any]:
    """Token counts under OpenAI's names."""
    spent = answer.usage
    return {
        "prompt_tokens": spent.prompt_tokens,
        "completion_tokens": spent.completion_tokens,
        "total_tokens": spent.prompt_tokens + spent.completion_tokens,
        "completion_tokens_details": {"reasoning_tokens": spent.reasoning_tokens},
    }


def extras_of(answer: Answer) -> dict[str, Any]:
    """Fields without a place in OpenAI's objects: images as sent, timings, warnings."""
    return answer.model_dump(include={"images", "timings", "cached", "warnings"})


class _Completion(Form):
    """Common part of both formats. `created` is Unix time in seconds."""

    def __init__(self) -> None:
        self.created = int(time.time())
        self.ident = self.model = ""

    def note(self, event: Start) -> None:
        self.ident, self.model = f"chatcmpl-{event.id.removeprefix('req_')}", event.model

    def object(self, kind: str, choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        head = {"id": self.ident, "object": kind, "created": self.created, "model": self.model}
        return {**head, "system_fingerprint": None, "choices": choices, **more}


class Completion(_Completion):
    """`chat.completion`: the whole answer at once."""

    def __init__(self) -> None:
        super().__init__()
        self._thoughts: list[str] = []

    def encode(self, event: Event) -> bytes:
        match event:
            case Start():
                self.note(event)
            case Reasoning():
                self._thoughts.append(event.text)
            case Done():
                return orjson.dumps(self._whole(event.answer))
        return b""

    def headers(self, event: Event) -> dict[str, str]:
        if not isinstance(event, Done):
            return {}
        return {"server-timing": server_timing(event.answer.timings)}

    def _whole(self, answer: Answer) -> dict[str, Any]:
        message = {"role": "assistant", "content": answer.text, "refusal": None}
        if self._thoughts:
            message["reasoning_content"] = "".join(self._thoughts)
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": answer.finish_reason,
        }
        more = {"usage": usage_of(answer), "vlm": extras_of(answer)}
        return self.object("chat.completion", [choice], **more)


class Chunks(_Completion):
    """`chat.completion.chunk`s as server-sent events: role, text, finish reason, token counts if
    requested, `[DONE]`. An error is sent as an event and ends the stream.

    Nothing is sent before the first text, so that an earlier failure has its own HTTP status.
    """

    media_type = "text/event-stream"
    silence = b": waiting\n\n"

    def __init__(self, include_usage: bool) -> None:
        super().__init__()
        self._counted = {"usage": None} if include_usage else {}
        self._opened = False

    def encode(self, event: Event) -> bytes:
        match event:
            case Start():
                self.note(event)
            case Delta():
                return self._delta({"content": event.text})
            case Reasoning():
                return self._delta({"reasoning_content": event.text})
            case Done():
                return self._end(event.answer)
        return b""

    def encode_error(self, problem: dict[str, Any]) -> bytes:
        return _data(problem)

    def _delta(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        first = b""
        if not self._opened:
            self._opened = True
            first = self._delta({"role": "assistant", "content": "", "refusal": None})
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return first + _data(self.object("chat.completion.chunk", [choice], **self._counted))

    def _end(self, answer: Answer) -> bytes:
        end = self._delta({}, answer.finish_reason)
        if self._counted:
            more = {"usage": usage_of(answer), "vlm": extras_of(answer)}
            end += _data(self.object("chat.completion.chunk", [], **more))
        return end + b"data: [DONE]\n\n"


def _data(told: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(told)
