"""`make check` fails where an import breaks a contract of pyproject.toml (`import-linter`)."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.inference_server import REPO

LINT = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
BROKEN = [  # where, what it imports, a word of the contract that this breaks
    ("engine", "app.tasks.ocr", "engine knows no tasks"),
    ("engine", "app.schemas", "engine knows no tasks"),
    ("engine", "starlette.requests", "HTTP framework"),
    ("images", "app.engine", "Imports go down"),
    ("models", "app.settings", "Imports go down"),
    ("tasks", "app.routes", "Imports go down"),
    ("embedded", "app.errors", "Imports go down"),
    ("routes", "app.embedded", "embedded engine is a program of its own"),
    ("client", "app.schemas", "Imports go down"),
    ("cli", "app.tasks.ocr", "Commands reach the server over HTTP"),
]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(LINT, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The code and its contracts."""
    shutil.copytree(REPO / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPO / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(("package", "imported", "contract"), BROKEN)
def test_a_broken_import_is_found(copy: Path, package: str, imported: str, contract: str) -> None:
    """Also one that is made only when a function is called."""
    module = copy / "app" / package / "new.py"
    module.write_text(f"def use() -> None:\n    import {imported}\n")
    done = lint(copy)
    assert done.returncode == 1, done.stdout
    broken = re.findall(r"^(.*) BROKEN\b", done.stdout, re.M)
    assert any(contract in name for name in broken), done.stdout
    assert f"app.{package}.new" in done.stdout


def test_a_new_module_needs_a_layer(copy: Path) -> None:
    (copy / "app" / "another.py").write_text("")
    done = lint(copy)
    assert done.returncode == 1
    assert "another" in done.stdout


def test_make_check_runs_it() -> None:
    """And it finds nothing in the code as it is."""
    recipe = (REPO / "Makefile").read_text().split("\ncheck:")[1].split("\n\n")[0]
    assert ".venv/bin/lint-imports" in recipe
    done = lint(REPO)
    assert done.returncode == 0, done.stdout
