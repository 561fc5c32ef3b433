"""Scripts of a fake Ollama: what it does with a request, step by step; and the usual answers."""

import json
import math
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

NDJSON = "application/x-ndjson"
JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Head:
    """The status line and the headers. The body behind it is chunked."""

    status: int = 200
    media_type: str = NDJSON
    location: str = ""


@dataclass(frozen=True, slots=True)
class Send:
    """A piece of the body, sent unchanged."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Silence for so many seconds; infinite: until the client leaves."""

    seconds: float = math.inf


class Cut(Enum):
    """The connection ends here, in the middle of the body."""

    CLOSED = "as by a process that ended"
    RESET = "as by one that crashed (RST)"


# A body that is not cut ends with the last chunk. Steps before a `Head` run before the response
# begins.
Step = Head | Send | Wait | Cut
Script = tuple[Step, ...]

HANG: Script = (Wait(),)

MB = 1_000_000
Lines = list[dict[str, Any]]
SUCCESS: Lines = [  # the end of a pull
    {"status": "verifying sha256 digest"},
    {"status": "writing manifest"},
    {"status": "success"},
]


def line(**fields: Any) -> Send:
    """One line of a stream."""
    return Send(json.dumps(fields, ensure_ascii=False).encode() + b"\n")


def word(text: str, thinking: str = "") -> Send:
    """One token of an answer, or of the thoughts before it."""
    message = {"role": "assistant", "content": text}
    if thinking:
        message["thinking"] = thinking
    return line(model="fake-vlm", created_at=CREATED, message=message, done=False)


def done(reason: str = "stop", prompt_tokens: int = 200, tokens: int = 32) -> Send:
    """The last line of a whole answer."""
    return line(
        model="fake-vlm",
        created_at=CREATED,
        message={"role": "assistant", "content": ""},
        done_reason=reason,
        done=True,
        total_duration=30_000_000,
        load_duration=1_000_000,
        prompt_eval_count=prompt_tokens,
        prompt_eval_duration=10_000_000,
        eval_count=tokens,
        eval_duration=20_000_000,
    )


def words(text: str, pace_s: float = 0) -> Script:
    """The tokens of an answer, without head and end; joined they are exactly the text.

    Args:
        pace_s: seconds before each token.
    """
    said = [word(piece) for piece in PIECE.findall(text)]
    return _paced(said, pace_s)


def says(
    text: str,
    *,
    thoughts: str = "",
    pace_s: float = 0,
    reason: str = "stop",
    prompt_tokens: int = 200,
) -> Script:
    """A whole answer with exactly this text; each word is a token."""
    thought = [word("", piece) for piece in PIECE.findall(thoughts)]
    said = words(text, pace_s)
    tokens = len(thought) + len(PIECE.findall(text)) + 1
    return (Head(), *_paced(thought, pace_s), *said, done(reason, prompt_tokens, tokens))


def begins(text: str, *then: Step, pace_s: float = 0) -> Script:
    """An answer that begins with this text and goes on with other steps."""
    return (Head(), *words(text, pace_s), *then)


def replies(status: int, value: Any) -> Script:
    """A JSON response."""
    return (Head(status, JSON), Send(json.dumps(value).encode()))


def refuses(status: int, error: str) -> Script:
    """An error of the daemon in place of an answer."""
    return replies(status, {"error": error})


def page(status: int, html: str = "<html><body><h1>It works!</h1></body></html>\n") -> Script:
    """A response of something that is not Ollama."""
    return (Head(status, "text/html"), Send(html.encode()))


def downloading(*completed: int, total: int = 1000 * MB) -> Lines:
    """The lines of a pull that reached the given numbers of bytes."""
    digest = "sha256:" + "1" * 64
    status = {"status": "pulling 111111111111", "digest": digest, "total": total}
    return [{"status": "pulling manifest"}, *({**status, "completed": n} for n in completed)]


def _paced(said: list[Send], pace_s: float) -> Script:
    if not pace_s:
        return tuple(said)
    return tuple(step for send in said for step in (Wait(pace_s), send))


CREATED = "2026-01-01T00:00:00Z"
PIECE = re.compile(r"\s*\S+|\s+$")
