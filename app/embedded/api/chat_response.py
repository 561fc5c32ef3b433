"""Ollama's objects of an answer: the chunks of a stream and the last object."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


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


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
