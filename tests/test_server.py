"""The program itself: how it starts and ends."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.inference_server import REPO, Server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_with_0_when_asked_to(tmp_path: Path, number: signal.Signals) -> None:
    with Server(tmp_path / "log", OLLAMA_HOST="127.0.0.1:9") as server:
        server.process.send_signal(number)
        assert server.process.wait(120) == 0
    assert "Traceback" not in server.log()
    assert "serving" in server.log()


def start(**settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "server.py"],
        cwd=REPO,
        env={"PATH": "/usr/bin:/bin", **settings},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_wrong_setting_is_one_sentence() -> None:
    ended = start(PORT="many")
    assert ended.returncode == 1
    assert ended.stderr.startswith("The setting PORT is invalid: ")
    assert ended.stderr.count("\n") == 1


def test_a_taken_port_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = start(PORT=str(taken.getsockname()[1]))
    assert ended.returncode != 0
    assert "address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr
