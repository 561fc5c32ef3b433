"""`pull`, `models` and `status`: about the engine and the server."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.cli.pull import DownloadProgress, _progress_bar
from tests.cli.command import call, environment
from tests.cli.test_tasks import on_terminal
from tests.fake_ollama.script import MB, SUCCESS, downloading
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import REPO, Server
from tests.ollama_daemon.process import Daemon
from tests.ports import free_port
from tests.scripts.conftest import fake_ollama as fake_ollama  # noqa: PLC0414 - a fixture


def test_a_download_and_what_to_do_with_it(fake_ollama: FakeOllama, tmp_path: Path) -> None:
    half = 500 * MB
    fake_ollama.pulls = [downloading(half), [*downloading(half, 1000 * MB), *SUCCESS]]
    done = call("pull", "qwen3-vl:14b", cwd=tmp_path, OLLAMA_HOST=fake_ollama.url)
    assert done.returncode == 0, done.stderr
    assert fake_ollama.pulled == ["qwen3-vl:8b", "qwen3-vl:8b"], "a broken connection is mended"
    assert "Note: qwen3-vl:14b was never published" in done.stderr
    assert "Downloading qwen3-vl:8b (6.1 GB)" in done.stderr
    assert "qwen3-vl:8b is installed and can see." in done.stdout
    assert "Start the server with:  ENGINE=ollama MODEL_NAME=qwen3-vl:8b ./run" in done.stdout


def test_a_bar_on_a_terminal(fake_ollama: FakeOllama) -> None:
    fake_ollama.pulls = [[*downloading(500 * MB, 1000 * MB), *SUCCESS]]
    said = on_terminal("pull", "qwen3-vl:2b", OLLAMA_HOST=fake_ollama.url)
    assert "1.0/1.9 GB" in said
    assert "qwen3-vl:2b is installed and can see." in said


def test_the_whole_is_known_before_its_parts_are() -> None:
    with _progress_bar() as progress:
        bar = DownloadProgress(progress, 2000)
        for line in (*downloading(10, total=1000), {"status": "verifying"}):
            bar.update(line)
        (row,) = progress.tasks
        assert (row.completed, row.total, row.description) == (10, 2000, "verifying")
        bar.update({"digest": "b", "status": "pulling b", "total": 5000, "completed": 5})
        assert (row.completed, row.total) == (15, 6000)


@pytest.mark.parametrize(
    ("model", "status", "words"),
    [
        ("tiny-vlm", 0, "tiny-vlm is installed and can see."),
        ("tiny-text", 1, "tiny-text is installed but cannot see"),
        ("qwen3-vl:2b", 1, "needs 0.12.7 or newer"),
    ],
)
def test_pull_on_the_real_daemon(daemon: Daemon, model: str, status: int, words: str) -> None:
    done = call("pull", model, OLLAMA_HOST=daemon.url)
    assert done.returncode == status
    assert words in done.stdout + done.stderr


def test_models_of_the_real_daemon(daemon: Daemon, tmp_path: Path) -> None:
    done = call("models", "--vram-gb", "24", cwd=tmp_path, OLLAMA_HOST=daemon.url)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    installed = {one["name"]: one for one in told["installed"]}
    assert installed["tiny-vlm:latest"]["vision"] is True
    assert installed["tiny-text:latest"]["vision"] is False
    known = {one["name"]: one for one in told["catalogue"]}
    assert known["qwen3-vl:32b"]["num_ctx"] == 9216
    assert known["qwen3-vl:235b"]["fits"] is False
    said = on_terminal("models", "--vram-gb", "24", OLLAMA_HOST=daemon.url)
    assert "cannot see" in said and "fits on the GPU (24.0 GiB)" in said


def test_models_without_an_engine(tmp_path: Path) -> None:
    done = call("models", cwd=tmp_path, OLLAMA_HOST=f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "No engine answers at" in done.stderr
    assert len(json.loads(done.stdout)["catalogue"]) == 6


def test_status(daemon_server: Server, daemon: Daemon) -> None:
    """Piped it is JSON and once; on a terminal, once or until Ctrl-C."""
    settings = {"SERVER_URL": daemon_server.url, "API_KEY": "secret"}
    told: dict[str, Any] = json.loads(
        call("status", SERVER_URL=daemon_server.url, API_KEY="secret").stdout
    )
    assert told["model"]["name"] == "tiny-vlm"
    once = on_terminal("status", "--once", **settings)
    for words in (
        f"{daemon.version} at",
        "tiny-vlm, completion, vision",
        "4,096 tokens per slot",
        "0 of 1",
    ):
        assert words in once
    refused = call("status", SERVER_URL=daemon_server.url)
    assert refused.returncode == 1
    assert "--api-key" in refused.stderr


def test_status_lives_until_ctrl_c() -> None:
    """Also while no server answers."""
    inside, outside = pty.openpty()
    command = [sys.executable, "-m", "app", "status"]
    settings = environment(TERM="xterm", COLUMNS="80", PORT=str(free_port()))
    run = subprocess.Popen(command, cwd=REPO, env=settings, stdin=outside, stdout=outside)
    os.close(outside)
    said = b""
    while b"Press Ctrl-C to stop." not in said:
        said += os.read(inside, 4096)
    assert b"No server answers at" in said
    run.send_signal(signal.SIGINT)
    assert run.wait(120) == 130
    os.close(inside)
