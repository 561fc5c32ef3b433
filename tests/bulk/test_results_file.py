"""The file of a run: what a kill leaves of it, and what is not ours to touch."""

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from app.bulk.results_file import ResultsFile, ResultsFileError
from tests.inference_server import REPO

FINGERPRINT = "ocr-1"


def line(path: str, **fields: Any) -> dict[str, Any]:
    return {"path": path, "asked": FINGERPRINT, "error": None, "answer": {"text": path}} | fields


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Three lines; the second is an error."""
    path = tmp_path / "out.jsonl"
    with ResultsFile(path, FINGERPRINT) as results:
        for one in (line("a.png"), line("나.png", error={"code": "x"}, answer=None), line("c")):
            results.append(one)
    return path


def paths(path: Path) -> list[str]:
    with ResultsFile(path, FINGERPRINT) as results:
        return [one.path for one in results.recover()]


def test_wherever_the_last_line_is_torn_the_others_are_whole(out: Path) -> None:
    data = out.read_bytes()
    begins = data.rstrip(b"\n").rindex(b"\n") + 1
    for cut in range(begins, len(data)):
        out.write_bytes(data[:cut])
        assert paths(out) == ["a.png", "나.png"]
        assert out.read_bytes() == data[:begins]
    out.write_bytes(data + b"\0" * 512)  # as a power cut leaves it on some file systems
    assert paths(out) == ["a.png", "나.png", "c"]
    assert out.read_bytes() == data


@pytest.mark.parametrize(
    "data",
    [
        b"my notes\n",
        b"my notes",
        b'{"path": "a"}\n',
        b"[]\n",
        b"\xff\xfe\n",
        b'{"question": "unfinished',
    ],
)
def test_what_is_not_ours_is_left_as_it_is(out: Path, data: bytes) -> None:
    for before in (b"", out.read_bytes()):
        out.write_bytes(before + data)
        with pytest.raises(ResultsFileError, match="was not written by `batch`"):
            paths(out)
        assert out.read_bytes() == before + data


def test_answers_to_something_else_are_not_mixed(out: Path) -> None:
    with (
        ResultsFile(out, "ocr-2") as results,
        pytest.raises(ResultsFileError, match="line 1: ocr-1; now: ocr-2"),
    ):
        list(results.recover())


def test_two_runs_do_not_write_one_file(out: Path) -> None:
    with ResultsFile(out, FINGERPRINT) as results:
        with pytest.raises(ResultsFileError, match="Another run is writing"):
            ResultsFile(out, FINGERPRINT)
        results.remove(lambda one: one.error is not None)
        with pytest.raises(ResultsFileError, match="Another run is writing"):
            ResultsFile(out, FINGERPRINT)
    assert paths(out) == ["a.png", "c"]
    link = out.with_name("link.jsonl")
    link.symlink_to(out)
    with ResultsFile(out, FINGERPRINT), pytest.raises(ResultsFileError, match="Another run"):
        ResultsFile(link, FINGERPRINT)


def test_a_killed_run_leaves_no_lock(out: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from app.bulk.results_file import ResultsFile;"
        f"file = ResultsFile(Path(sys.argv[1]), {FINGERPRINT!r}); print(flush=True);"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(out)]
    with subprocess.Popen(command, cwd=REPO, stdin=PIPE, stdout=PIPE) as other:
        assert other.stdout and other.stdout.readline()
        with pytest.raises(ResultsFileError, match="Another run is writing"):
            ResultsFile(out, FINGERPRINT)
        other.kill()
        other.wait()
    assert len(paths(out)) == 3
    assert list(out.parent.iterdir()) == [out]


def test_dropped_lines_are_gone_and_new_ones_come_behind(out: Path) -> None:
    with ResultsFile(out, FINGERPRINT) as results:
        results.remove(lambda one: one.error is not None)
        results.append(line("나.png"))
    assert paths(out) == ["a.png", "c", "나.png"]
    assert "나.png" in out.read_text()
    assert list(out.parent.iterdir()) == [out]


def test_names_that_are_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    out = tmp_path / "out.jsonl"
    with ResultsFile(out, FINGERPRINT) as results:
        results.append(line(name, answer={"text": "한국어"}))
    assert paths(out) == [name]
    assert json.loads(out.read_bytes())["answer"]["text"] == "한국어"


def test_a_full_disk_leaves_whole_lines(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, write = out.read_bytes(), os.write

    def short(fd: int, data: bytes) -> int:
        return write(fd, data[:10])

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for broken in (short, full):
        with ResultsFile(out, FINGERPRINT) as results, monkeypatch.context() as patch:
            patch.setattr(os, "write", broken)
            with pytest.raises(ResultsFileError, match=r"(?i)disk is full|no space left"):
                results.append(line("d"))
        assert out.read_bytes() == before


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(ResultsFileError, match="No such file or directory"):
        ResultsFile(tmp_path / "none" / "out.jsonl", FINGERPRINT)


def test_many_lines_are_read_quickly(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    one = json.dumps(line("a" * 60, answer={"text": "x" * 1500})).encode() + b"\n"
    out.write_bytes(one * 20_000)
    since = time.monotonic()
    assert len(paths(out)) == 20_000
    print(f"20,000 lines in {time.monotonic() - since:.2f} s")
    assert time.monotonic() - since < 30
