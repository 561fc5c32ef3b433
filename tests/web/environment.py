"""What the page is looked at with: Debian's Chromium, a Korean font, and axe-core by npm."""

import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache"
PACKAGE = HERE / "package.json"
# Debian keeps only the newest Chromium, so it cannot be pinned. NanumBarunGothic is in the page's
# list of fonts; without it Korean would be drawn as empty boxes.
DEBIAN = ("chromium", "fonts-nanum")
APT = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120")


@cache
def chromium() -> Path:
    """The browser; the tests are skipped where it is not there and cannot be installed."""
    if shutil.which("chromium") is None:
        if shutil.which("apt-get") is None or os.geteuid() != 0:
            pytest.skip("chromium is not installed, and only root on Debian can install it here")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        _run(*APT, "update", env=quiet)
        _run(*APT, "install", "-y", "--no-install-recommends", *DEBIAN, env=quiet)
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("chromium is not installed")
    return Path(found)


@cache
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
        _run(npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(home))
    return script.read_text()


def _run(*command: str, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        pytest.skip(f"{command[0]} could not install what the browser tests need: {last}")
