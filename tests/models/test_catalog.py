"""Tags, sizes and the command that the shell scripts call."""

import subprocess
import sys

import pytest

from app.models.catalog import BY_TAG, DEFAULT_MODEL, resolve
from tests.inference_server import REPO


def test_the_seeds_names_mean_what_exists() -> None:
    assert resolve("qwen3-vl:32b-q4")[0] == "qwen3-vl:32b"
    assert resolve("qwen3-vl:14b")[0] == "qwen3-vl:8b"
    assert resolve("qwen3-vl:235b") == ("qwen3-vl:235b", "")
    assert resolve("anything:else") == ("anything:else", "")
    assert DEFAULT_MODEL in BY_TAG


@pytest.mark.parametrize(
    ("tag", "status", "printed"),
    [
        ("qwen3-vl:32b", 0, "qwen3-vl:32b\t21000000000\t\n"),
        ("qwen3-vl:14b", 0, "qwen3-vl:8b\t6100000000\tqwen3-vl:14b was never published; "),
        ("llava", 2, ""),
    ],
)
def test_command(tag: str, status: int, printed: str) -> None:
    """-S shows that the command needs no installed package."""
    run = subprocess.run(
        [sys.executable, "-S", "-m", "app.models.catalog", tag],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == status
    assert run.stdout.startswith(printed)
    assert ("not in the catalogue" in run.stderr) == (status == 2)
