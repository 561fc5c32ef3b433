"""What counts as the same answer, and that a difference is found."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.inference_server import REPO
from tools.same_answers import request_set
from tools.same_answers.__main__ import compare
from tools.same_answers.engines import fake_daemon, sets
from tools.same_answers.normalize import Answer, Improved, log_lines, normalize

JSON = [("Content-Type", "application/json")]
SSE = [("content-type", "text/event-stream")]


def body_of(text: str, headers: list[tuple[str, str]] | None = None, status: int = 200) -> str:
    return normalize(status, JSON if headers is None else headers, text.encode()).body


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('{"queue_ms":0.1,"text":"a"}', '{"queue_ms":12.0,"text":"a"}'),
        ('{"tokens_per_second":51.7}', '{"tokens_per_second":1e-05}'),
        (f'{{"id":"req_{"a" * 32}"}}', f'{{"id":"req_{"b" * 32}"}}'),
        (f'{{"id":"chatcmpl-{"a" * 32}"}}', f'{{"id":"chatcmpl-{"b" * 32}"}}'),
        ('{"object":"model","created":1}', '{"object":"model","created":2}'),
    ],
)  # fmt: skip
def test_times_and_ids_may_differ(old: str, new: str) -> None:
    assert body_of(old) == body_of(new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('{"text":"a"}', '{"text":"b"}'),
        ('{"text":"a"}', '{"text": "a"}'),
        ('{"tokens":1}', '{"tokens":2}'),
        ('{"queue_ms":0.1}', '{"queue_ms":null}'),
        ('{"id":"chosen"}', '{"id":"another"}'),
        ('{"detail":"Try again in 5 s."}', '{"detail":"Try again in 6 s."}'),
    ],
)
def test_all_else_may_not(old: str, new: str) -> None:
    assert body_of(old) != body_of(new)


def test_the_wait_of_a_429_is_measured() -> None:
    one, other = (
        normalize(429, [*JSON, ("Retry-After", wait)], f'{{"detail":"in {wait} s"}}'.encode())
        for wait in ("3", "4")
    )
    assert one == other != normalize(429, JSON, b'{"detail":"in 3 s"}')


def test_a_streamed_text_may_be_split_anywhere() -> None:
    start = 'event: start\ndata: {"id":"x"}\n\n'
    done = 'event: done\ndata: {"text":"a small house"}\n\n'

    def stream(*pieces: str, more: str = "") -> str:
        deltas = [f'event: delta\ndata: {{"text":"{one}"{more}}}\n\n' for one in pieces]
        return body_of(start + "".join(deltas) + done, SSE)

    assert stream("a small", " house") == stream("a", " small", " house")
    assert stream("a small", " house") != stream("a small", "house")
    assert stream("a") != stream("a", more=',"page":1')
    assert body_of(": waiting\n\n" + start, SSE) == body_of(start, SSE)
    parts = [stream("a", more=f',"page":{page}') for page in (1, 2)]
    assert parts[0] != parts[1]


def test_queue_positions_count_where_they_are_asked_for() -> None:
    frame = b'event: queued\ndata: {"position":1,"eta_ms":5.0}\n\n'
    assert normalize(200, SSE, frame) == normalize(200, SSE, b"")
    one, other = (normalize(200, SSE, data, keep_queued=True) for data in (frame, b""))
    assert one != other


def test_pieces_of_different_parts_stay_apart() -> None:
    frames = [f'{{"event":"delta","text":"a","question":{at}}}\n' for at in (0, 0, 1)]
    merged = body_of("".join(frames), [("content-type", "application/x-ndjson")])
    assert merged == (
        '{"event":"delta","text":"aa","question":0}\n{"event":"delta","text":"a","question":1}\n'
    )


def test_a_wrong_length_is_seen() -> None:
    right, wrong = (normalize(200, [("Content-Length", size)], b"{}") for size in ("2", "3"))
    assert right.headers != wrong.headers


def test_metrics_are_compared_by_name_and_labels() -> None:
    kind = [("content-type", "text/plain; version=0.0.4")]
    first = body_of('a_total{code="ok"} 1.0\nb 2\n', kind)
    assert first == body_of('a_total{code="ok"} 7.0\nb 3\n', kind)
    assert first != body_of('a_total{code="no"} 1.0\nb 2\n', kind)


def test_improved_sentences_replace_the_old_ones() -> None:
    improved = Improved('A comment.\n- it is "gone on"\n+ it continued\n\n- never\n+ ever\n')
    old = Answer(200, (), '{"detail":"it is \\"gone on\\""}', ('it is "gone on"',))
    new = Answer(200, (), '{"detail":"it continued"}', ("it continued",))
    assert improved.applied(old) == new
    assert improved.unused() == ["never"]
    with pytest.raises(ValueError, match="then"):
        Improved("- old\n- older\n")


def test_log_lines_of_a_request() -> None:
    log = (
        'no JSON\n{"request_id":"a","total_ms":1.5,"timestamp":"now","code":"ok"}\n{"event":"x"}\n'
    )
    assert log_lines(log) == {"a": '{"total_ms":<time>,"code":"ok"}\n'}


def test_there_are_enough_requests() -> None:
    names = []
    for start in (sets(False)[name] for name in ("new daemon", "old daemon", "keys", "limits")):
        with start() as setup:
            names += [sent.name for sent in setup.requests]
    assert len(names) >= 300


def test_a_change_is_found(tmp_path: Path) -> None:
    """A copy of the server that answers one request differently."""
    shutil.copytree(REPO / "app", tmp_path / "app")
    shutil.copy(REPO / "server.py", tmp_path)
    asked = [request_set.form("describe", "SSE", stream="true"), request_set.get("/health")]
    with fake_daemon("0.34.0", asked) as setup:
        assert compare((REPO, tmp_path), setup, Improved()) == (2, [])
        ops = next((tmp_path / "app").rglob("ops.py"))
        ops.write_text(ops.read_text().replace('{"status": "ok"}', '{"status": "well"}'))
        count, (diff,) = compare((REPO, tmp_path), setup, Improved())
        assert count == 2
        assert '-"status":"ok"+"status":"well"' in "".join(diff.split())
        assert compare(
            (REPO, tmp_path), setup, Improved('- "status":"ok"\n+ "status":"well"\n')
        ) == (2, [])


def test_an_unknown_commit_is_an_error() -> None:
    command = [sys.executable, "-m", "tools.same_answers", "--against", "no-such-commit"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode not in (0, 1)
    assert "no-such-commit" in done.stderr
