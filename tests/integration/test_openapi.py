"""Whatever the OpenAPI document allows or forbids, the server answers as the document says."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.fake_ollama.script import says
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import REPO, Server
from tests.integration.openapi_hooks import ANSWER, MODEL

CASES = 2_000  # at least so many must have been made
A_OPERATION = 100
SETTINGS = {"NUM_CTX": "8192", "CACHE_MB": "0", "API_KEYS": "key-of-the-tests"}


def test_schemathesis_finds_no_failure(tmp_path: Path) -> None:
    """All its checks, in all its phases: examples, coverage, fuzzing, and sequences of requests."""
    with FakeOllama() as fake_ollama:
        fake_ollama.play(says(ANSWER))
        with Server(
            tmp_path / "log", OLLAMA_HOST=fake_ollama.url, MODEL_NAME=MODEL, **SETTINGS
        ) as server:
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "schemathesis.cli", "run"),
                    f"{server.url}/openapi.json",
                    *("--checks", "all", "--max-examples", str(A_OPERATION), "--seed", "5"),
                    *("--header", "Authorization: Bearer key-of-the-tests", "--no-color"),
                    *("--continue-on-failure", "--request-timeout", "120"),
                ],
                cwd=tmp_path,
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(tmp_path),
                    "PYTHONPATH": str(REPO),
                    "SCHEMATHESIS_HOOKS": "tests.integration.openapi_hooks",
                    "NO_PROXY": "127.0.0.1",
                },
                capture_output=True,
                text=True,
                check=False,
            )
        log = server.log()
    told = done.stdout[-20_000:] + done.stderr[-2_000:]
    assert done.returncode == 0, told
    found = re.search(r"(\d[\d,]*) generated", done.stdout)
    assert found and int(found[1].replace(",", "")) >= CASES, told
    print(f"schemathesis: {found[0]}, no failure")
    assert "unhandled exception" not in log
