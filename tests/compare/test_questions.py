"""The requests of a comparison."""

from itertools import pairwise
from pathlib import Path

import pytest

from app.compare.questions import examples, from_folder
from tests.pictures import encoded, scene


def test_the_examples_are_there() -> None:
    questions = examples()
    assert all(one.file.is_file() for one in questions)
    assert sum(one.truth is not None for one in questions) == 2
    assert all(one.file != other.file for one, other in pairwise(questions))


def test_ones_own_pictures(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png"):
        (tmp_path / name).write_bytes(encoded(scene(32, 32)))
    (tmp_path / "a.txt").write_bytes("합계 1원".encode("cp949"))
    (tmp_path / "notes.md").write_text("no picture")
    questions = from_folder(tmp_path, ["What?", "Why?"])
    assert [(one.name, one.task, one.question_text) for one in questions] == [
        ("a.png", "ocr", ""),
        ("b.JPG", "describe", ""),
        ("a.png", "vqa", "What?"),
        ("b.JPG", "vqa", "What?"),
        ("a.png", "vqa", "Why?"),
        ("b.JPG", "vqa", "Why?"),
    ]
    assert questions[0].truth == "합계 1원"
    with pytest.raises(ValueError, match="not a folder"):
        from_folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no images"):
        from_folder(tmp_path / "empty")
