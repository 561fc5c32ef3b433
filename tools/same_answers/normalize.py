"""Replace what may differ between two answers: times, generated ids, chunk boundaries."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MASKS = (
    (re.compile(r'("(?:\w+_ms|tokens_per_second|created)":)-?\d[\d.e+-]*'), r"\1<time>"),
    (re.compile(r"\bdur=[\d.]+"), "dur=<time>"),
    (re.compile(r"\b(req_|chatcmpl-)[0-9a-f]{32}\b"), r"\1<id>"),
)
WAIT = re.compile(r"\b\d+ s\b")  # of a 429: measured
TRIES = re.compile(r"\btried \d+ times")
SAMPLE = re.compile(r"^([^#\s]\S*(?: \S+=.*})?) \S+$", re.M)  # of Prometheus' text format
# A frame with a piece of text: the part before the text, the text, the part after it.
PIECE = re.compile(
    r'(.*?"(?:delta":\{"content|delta":\{"reasoning_content|text)":")((?:[^"\\]|\\.)*)("[^\n]*)',
    re.S,
)
STREAMS = {"text/event-stream": "\n\n", "application/x-ndjson": "\n"}
SILENCE = ": waiting"  # the comment that keeps a stream alive
QUEUED = ("event: queued", '{"event":"queued"')
METRICS = "text/plain; version"


@dataclass(frozen=True, slots=True)
class Answer:
    """A normalized answer, with the bodies that the engine received for it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str
    engine_requests: tuple[str, ...] = ()


def normalize(
    status: int,
    headers: Iterable[tuple[str, str]],
    body: bytes,
    engine_requests: Iterable[object] = (),
    *,
    keep_queued: bool = False,
) -> Answer:
    """Normalize an answer.

    Times and ids become placeholders. Header fields are sorted by name. `Content-Length` becomes a
    placeholder where it is right, because times have a varying number of digits. Adjacent pieces of
    a streamed text become one. Requests to the engine are sorted, because pages are read at the
    same time; and since a page may wait for another one, queue positions count only where
    `keep_queued` says so.
    """
    fields = sorted((name.lower(), value) for name, value in headers)
    kind = dict(fields).get("content-type", "")
    text = body.decode(errors="backslashreplace")
    if separator := STREAMS.get(kind.partition(";")[0]):
        text = merge_pieces(text, separator, keep_queued=keep_queued)
    if kind.startswith(METRICS):
        text = SAMPLE.sub(r"\1 <value>", text)
    text = TRIES.sub("tried <n> times", masked(text))
    if status == 429:
        text = WAIT.sub("<n> s", text)
    shown = [(name, _field(name, value, status, len(body))) for name, value in fields]
    return Answer(status, tuple(shown), text, tuple(sorted(map(_compact, engine_requests))))


def _field(name: str, value: str, status: int, size: int) -> str:
    """A header field's value with placeholders; `size` is the length of the body in bytes."""
    if name == "date" or (name == "retry-after" and status == 429):
        return "<time>"
    if name == "content-length" and value == str(size):
        return "<length of the body>"
    return masked(value)


def masked(text: str) -> str:
    """Replace times and generated ids by placeholders."""
    for pattern, placeholder in MASKS:
        text = pattern.sub(placeholder, text)
    return text


def merge_pieces(text: str, separator: str, *, keep_queued: bool = False) -> str:
    """Merge neighbouring frames of a stream that differ only in their piece of text.

    The server coalesces pieces that arrive together, so their boundaries depend on timing, and so
    do the comments that keep the stream alive and, unless kept, the queue positions. Both are
    removed.
    """
    merged: list[str | tuple[str, str, str]] = []
    for frame in text.split(separator):
        match = PIECE.fullmatch(frame)
        if match is None:
            timed = frame == SILENCE or (frame.startswith(QUEUED) and not keep_queued)
            merged += [] if timed else [frame]
            continue
        before, piece, after = match.groups()
        last = merged[-1] if merged else ""
        if isinstance(last, tuple) and (last[0], last[2]) == (before, after):
            merged[-1] = (before, last[1] + piece, after)
        else:
            merged.append((before, piece, after))
    return separator.join("".join(one) for one in merged)


def log_lines(log: str) -> dict[str, str]:
    """The JSON lines of each request, by its id, without times and stack traces."""
    found: dict[str, str] = {}
    for line in log.splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict) and (ident := told.pop("request_id", "")):
            for name in ("timestamp", "exception"):
                told.pop(name, None)
            found[ident] = found.get(ident, "") + masked(_compact(told)) + "\n"
    return found


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Improved:
    """Allowed changes of wording.

    The text has pairs of lines, `- old sentence` and `+ new sentence`, or parts of sentences. Other
    lines are comments.
    """

    def __init__(self, text: str = "") -> None:
        lines = [line for line in text.splitlines() if line[:2] in ("- ", "+ ")]
        signs = "".join(line[0] for line in lines)
        if signs != "-+" * (len(lines) // 2):
            raise ValueError("Write each improved sentence as a line `- old`, then `+ new`.")
        self.pairs = [(old[2:], new[2:]) for old, new in zip(lines[::2], lines[1::2], strict=True)]
        self.used: set[str] = set()

    @classmethod
    def read(cls, path: Path) -> "Improved":
        """Read a file. Raises ValueError where its lines are not in pairs."""
        return cls(path.read_text())

    def applied(self, answer: Answer) -> Answer:
        """Replace the old sentences in an answer."""
        return Answer(
            answer.status,
            tuple((name, self.applied_to(value)) for name, value in answer.headers),
            self.applied_to(answer.body),
            tuple(map(self.applied_to, answer.engine_requests)),
        )

    def applied_to(self, text: str) -> str:
        """Replace the old sentences in a text, also where they are escaped for JSON."""
        for old, new in self.pairs:
            for form in (str, _in_json):
                if form(old) in text:
                    self.used.add(old)
                    text = text.replace(form(old), form(new))
        return text

    def unused(self) -> list[str]:
        """Old sentences that occurred nowhere."""
        return [old for old, _ in self.pairs if old not in self.used]


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
