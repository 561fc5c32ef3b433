"""axe-core, by npm."""

import hashlib
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.install_lock import one_at_a_time

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache"
PACKAGE = HERE / "package.json"


@cache
@one_at_a_time
def axe() -> str:
    """The script of axe-core."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed, so axe-core cannot be had")
    digest = hashlib.sha256(PACKAGE.read_bytes()).hexdigest()[:8]
    home = CACHE / f"page-checks-{digest}"
    script = home / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGE, home)
        install = (npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(home))
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"axe-core cannot be installed: {done.stderr.strip() or 'no message'}")
    return script.read_text()
