"""The clients, installed once into `.cache/clients`: Python's by uv, JavaScript's by npm."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.install_lock import one_at_a_time

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache"
LISTED = HERE / "requirements.txt"
PACKAGE = HERE / "package.json"


@one_at_a_time
def python() -> Path:
    """The interpreter that has the clients; the test is skipped where they cannot be had."""
    home = _home(LISTED)
    done = home / "done"
    if not done.exists():
        uv = [sys.executable, "-m", "uv"]
        _run(*uv, "venv", "--quiet", "--clear", str(home))
        _run(*uv, "pip", "install", "--quiet", "--python", str(home), "-r", str(LISTED))
        done.touch()
    return home / "bin" / "python"


@one_at_a_time
def node() -> tuple[str, Path]:
    """Node, and the folder from which scripts find the clients."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        pytest.skip("Node.js is not installed, so its client is not tested")
    home = _home(PACKAGE)
    done = home / "done"
    if not done.exists():
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGE, home)
        _run(npm, "install", "--silent", "--no-audit", "--no-fund", cwd=home)
        done.touch()
    return program, home


def _home(listing: Path) -> Path:
    digest = hashlib.sha256(listing.read_bytes()).hexdigest()[:8]
    return CACHE / f"clients-{listing.stem}-{digest}"


def _run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        pytest.skip(f"the clients cannot be installed: {last}")
