"""Ollama's objects of an answer: the chunks of a stream and the last object."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """What the last object of an answer tells; durations in seconds.

    A piece is a word, a number or a punctuation mark; the end of the answer counts one, as the
    end-of-turn token does in Ollama. An image counts one for each 32 x 32 pixels begun.
    """

    prompt_tokens: int
    completion_tokens: int
    load_s: float
    prompt_eval_s: float
    eval_s: float
    total_s: float


def stream_chunk(model: str, content: str) -> dict[str, Any]:
    """One line of a stream."""
    message = {"role": "assistant", "content": content}
    return {"model": model, "created_at": timestamp(), "message": message, "done": False}


def final_chunk(
    model: str, content: str, reason: str, counts: Usage | None = None
) -> dict[str, Any]:
    """The last object of an answer; without counts, that of a load or unload."""
    answer = {**stream_chunk(model, content), "done_reason": reason, "done": True}
    if counts is not None:
        answer |= {
            "total_duration": round(counts.total_s * 1e9),
            "load_duration": round(counts.load_s * 1e9),
            "prompt_eval_count": counts.prompt_tokens,
            "prompt_eval_duration": round(counts.prompt_eval_s * 1e9),
            "eval_count": counts.completion_tokens,
            "eval_duration": round(counts.eval_s * 1e9),
        }
    return answer


def timestamp() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
