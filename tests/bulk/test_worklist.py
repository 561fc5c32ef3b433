"""What is still to do: each file once, in order, in bounded memory."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.bulk.worklist import InputNotFound, Worklist, read_names
from tests.inference_server import REPO


@pytest.fixture
def work() -> Iterator[Worklist]:
    work = Worklist()
    yield work
    work.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree with pictures, and with what is none."""
    for name in (
        "scans/b.PNG",
        "scans/a.jpg",
        "scans/below/c.pdf",
        "scans/below/[d].tiff",
        "scans/notes.txt",
        "scans/.hidden.png",
        "scans/.git/e.png",
        "other.dat",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "scans" / "loop").symlink_to(tmp_path / "scans")
    monkeypatch.chdir(tmp_path)
    return tmp_path


IN_SCANS = ["scans/a.jpg", "scans/b.PNG", "scans/below/[d].tiff", "scans/below/c.pdf"]


@pytest.mark.parametrize(
    ("words", "paths"),
    [
        (["scans"], IN_SCANS),
        (["./scans/"], IN_SCANS),
        (["scans", "scans/a.jpg", "./scans"], IN_SCANS),
        (["scans/*"], ["scans/a.jpg", "scans/b.PNG", "scans/notes.txt"]),
        (["scans/**/*.pdf"], ["scans/below/c.pdf", "scans/loop/below/c.pdf"]),
        (["other.dat", "scans/a.jpg"], ["other.dat", "scans/a.jpg"]),
        (["scans/below/[d].tiff"], ["scans/below/[d].tiff"]),
        (["https://example.com/a.png"], ["https://example.com/a.png"]),
    ],
)
def test_what_words_name(work: Worklist, folder: Path, words: list[str], paths: list[str]) -> None:
    work.add(words)
    found = list(work.pending())
    assert [path for path in found if "loop/loop" not in path] == paths


@pytest.mark.parametrize("word", ["none.png", "none/*.png", "none"])
def test_what_is_not_there(work: Worklist, folder: Path, word: str) -> None:
    with pytest.raises(InputNotFound, match=r"none"):
        work.add([word])


def test_a_list_is_taken_as_it_is(work: Worklist, folder: Path) -> None:
    names = b"scans/below/[d].tiff\r\n\ngone.png\ncaf\xe9.png\nscans/below\n"
    work.add(read_names(io.BytesIO(names)), from_list=True)
    assert list(work.pending()) == [
        "scans/below/[d].tiff",
        "gone.png",
        os.fsdecode(b"caf\xe9.png"),
        "scans/below/c.pdf",
    ]


def test_what_has_its_line_does_not_wait(work: Worklist, folder: Path) -> None:
    work.add(["scans"])
    work.record([("scans/a.jpg", None), ("not/ours.jpg", None)])
    work.record([("scans/b.PNG", {"code": "unreadable_image", "detail": "It\nis torn."})])
    assert list(work.pending()) == IN_SCANS[2:]
    counts = work.counts()
    assert (counts.total, counts.answered, counts.failed, counts.pending) == (4, 1, 1, 2)
    (failure,) = work.failures()
    assert (failure.path, failure.code, failure.detail) == (
        "scans/b.PNG",
        "unreadable_image",
        "It is torn.",
    )
    assert work.error_counts() == {"unreadable_image": 1}
    assert "scans/a.jpg" in work and "not/ours.jpg" not in work
    work.retry_failed()
    assert list(work.pending()) == IN_SCANS[1:]


def test_it_can_be_settled_while_it_is_read(work: Worklist) -> None:
    work.add((f"{number:03}.png" for number in range(500)), from_list=True)
    seen = []
    for path in work.pending():
        work.record([(path, None)])
        seen.append(path)
    assert seen == [f"{number:03}.png" for number in range(500)]
    assert work.counts().pending == 0


MEASURE = """
import resource, sys
from app.bulk.worklist import Worklist
count, work = int(sys.argv[1]), Worklist()
work.add((f"some/long/folder/of/scans/{n:07}.png" for n in range(count)), from_list=True)
work.record((f"some/long/folder/of/scans/{n:07}.png", None) for n in range(0, count, 2))
assert sum(1 for _ in work.pending()) == count // 2
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_number_of_files() -> None:
    def mib(count: int) -> int:
        command = [sys.executable, "-c", MEASURE, str(count)]
        return int(subprocess.run(command, cwd=REPO, capture_output=True, check=True).stdout)

    few, many = mib(60_000), mib(150_000)
    print(f"60,000 files: {few} MiB, 150,000: {many} MiB")
    assert many < few + 4
