"""The response objects of `/api/chat`."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts and durations of the final object.

    A token is a word, a number or a punctuation mark. The end of the answer counts as one, like
    Ollama's end-of-turn token. An image counts one token for each 32 x 32 pixels begun.
    """

    prompt_tokens: int
    completion_tokens: int
    load_s: float
    prompt_eval_s: float
    eval_s: float
    total_s: float


def stream_chunk(model: str, content: str) -> dict[str, Any]:
    """One object of a stream."""
    message = {"role": "assistant", "content": content}
    return {"model": model, "created_at": timestamp(), "message": message, "done": False}


def final_chunk(
    model: str, content: str, reason: str, usage: Usage | None = None
) -> dict[str, Any]:
    """The last object of an answer. Without usage: the answer to a load or unload request."""
    answer = {**stream_chunk(model, content), "done_reason": reason, "done": True}
    if usage is not None:
        answer |= {
            "total_duration": round(usage.total_s * 1e9),
            "load_duration": round(usage.load_s * 1e9),
            "prompt_eval_count": usage.prompt_tokens,
            "prompt_eval_duration": round(usage.prompt_eval_s * 1e9),
            "eval_count": usage.completion_tokens,
            "eval_duration": round(usage.eval_s * 1e9),
        }
    return answer


def timestamp() -> str:
    """The current time in UTC, as RFC 3339."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
