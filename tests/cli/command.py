"""`python -m app` as a process, with nothing of our own environment but what Python needs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.inference_server import REPO


def environment(**settings: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {"PYTHONPATH": str(REPO), "PYTHONUTF8": "1"} | settings


def call(
    *arguments: str | Path, cwd: Path = REPO, stdin: bytes | None = None, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run it to its end. Settings are environment variables."""
    done = subprocess.run(
        [sys.executable, "-m", "app", *map(str, arguments)],
        cwd=cwd,
        env=environment(**settings),
        capture_output=True,
        input=stdin if stdin is not None else b"",
        timeout=120,
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def doctor(*arguments: str, cwd: Path = REPO, **settings: str) -> subprocess.CompletedProcess[str]:
    return call("doctor", *arguments, cwd=cwd, stdin=None, **settings)


def told(*arguments: str, cwd: Path = REPO, **settings: str) -> dict[str, Any]:
    """What `doctor` says as JSON."""
    answer: dict[str, Any] = json.loads(doctor(*arguments, "--json", cwd=cwd, **settings).stdout)
    return answer


def start(*arguments: str | Path, cwd: Path = REPO, **settings: str) -> subprocess.Popen[bytes]:
    """Start it, to be killed or stopped."""
    return subprocess.Popen(
        [sys.executable, "-m", "app", *map(str, arguments)],
        cwd=cwd,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
