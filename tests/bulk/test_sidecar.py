"""Texts beside their files: whole, and never over what is there."""

import os
from pathlib import Path

import pytest

from app.bulk.sidecar import Sidecars


def test_the_whole_name_is_kept(tmp_path: Path) -> None:
    sidecars = Sidecars("md", force=False)
    for name in ("a.jpg", "a.png"):
        sidecars.write(str(tmp_path / name), name)
    assert (tmp_path / "a.jpg.md").read_text() == "a.jpg\n"
    assert {path.name for path in tmp_path.iterdir()} == {"a.jpg.md", "a.png.md"}


def test_nothing_is_replaced_unless_forced(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg.txt"
    target.write_text("mine")
    sidecars = Sidecars("txt", force=False)
    assert sidecars.existing(str(tmp_path / "a.jpg")) == target
    with pytest.raises(FileExistsError):
        sidecars.write(str(tmp_path / "a.jpg"), "new")
    assert target.read_text() == "mine"
    Sidecars("txt", force=True).write(str(tmp_path / "a.jpg"), "new\n")
    assert target.read_text() == "new\n"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    sidecars = Sidecars("txt", force=False)
    sidecars.write(str(tmp_path / "a.jpg"), "one")
    with pytest.raises(FileExistsError):
        sidecars.write(str(tmp_path / "a.jpg"), "two")
    assert (tmp_path / "a.jpg.txt").read_text() == "one\n"


def test_an_address_has_no_place_here() -> None:
    sidecars = Sidecars("txt", force=False)
    assert sidecars.path_for("https://example.com/a.png") is None
    sidecars.write("https://example.com/a.png", "text")
