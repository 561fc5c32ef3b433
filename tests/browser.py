"""Debian's Chromium, for tests that look at a page."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.install_lock import one_at_a_time

FLAGS = [
    "--no-sandbox",  # the tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Debian keeps only the newest Chromium, so it cannot be pinned. Without a Korean font Hangul would
# be drawn as empty boxes.
DEBIAN = ("chromium", "fonts-nanum")
APT = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120")


@cache
@one_at_a_time
def program() -> str:
    """The browser's path. It is installed where that can be done; else the test is skipped."""
    if shutil.which("chromium") is None:
        if shutil.which("apt-get") is None or os.geteuid() != 0:
            pytest.skip("chromium is not installed: apt-get install chromium fonts-nanum")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (("update",), ("install", "-y", "--no-install-recommends", *DEBIAN)):
            done = subprocess.run(
                [*APT, *words], env=quiet, capture_output=True, text=True, check=False
            )
            if done.returncode:
                last = (done.stderr.strip() or "no message").splitlines()[-1]
                pytest.skip(f"chromium cannot be installed: {last}")
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("chromium is not installed")
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window; the test is skipped where there is none (see `program`)."""
    path = program()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()
