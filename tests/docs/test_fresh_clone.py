"""README, word by word, as somebody who has just cloned the repository: nothing is there but git,
Python, curl, and an empty home. The commands are README's own, in its order.

The packages are really installed, from pip's cache in `.cache/pip` where it has them. The engine is
the embedded one, also where there is an Ollama or a GPU that README's way would find.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.background_server import BackgroundServer, logs
from tests.docs.document import Command, commands
from tests.docs.machine import Machine
from tests.inference_server import REPO
from tests.ports import free_port

START = "./quick_start.sh"
SERVE = "./run_server.sh"
NO_NETWORK = re.compile(
    r"NewConnectionError|Could not fetch|No matching distribution|Read timed out"
)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    folder = tmp_path_factory.mktemp("clone")
    address = f"http://127.0.0.1:{free_port()}"
    cache = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    cache["PIP_CACHE_DIR"] = str(REPO / ".cache" / "pip")
    engine = {"ENGINE": "embedded", "OLLAMA_HOST": f"127.0.0.1:{free_port()}"}
    machine = Machine(folder, address, **cache, **engine)
    command = ["git", "clone", "-q", "--no-hardlinks", str(REPO), str(machine.repository)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this is no git checkout: {done.stderr}")
    return machine


@contextlib.contextmanager
def serving(machine: Machine, command: str) -> Iterator[Path]:
    """The server, as in a terminal that is left open; its output. Ctrl-C at the end."""
    terminal = BackgroundServer(
        ["bash", "-c", f"exec {command}"],
        machine.repository.parent / "terminal.log",
        ready=logs("Ready: "),
        environment=machine.environment,
        cwd=machine.repository,
        group=True,
        stop_signal=signal.SIGINT,
    )
    with terminal:
        yield terminal.log_path
    assert terminal.process.returncode == 0, terminal.log()


def steps() -> list[Command]:
    """From the start on; the first screen shows what comes then, so its request is the first."""
    runnable = [one for one in commands(REPO / "README.md") if not one.why]
    places = [one.text for one in runnable]
    screen, rest = runnable[: places.index(START)], runnable[places.index(START) :]
    assert [one.text for one in rest[:2]] == [START, SERVE]
    return [*rest[:2], *(one for one in screen if one.text != SERVE), *rest[2:]]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_word_by_word(clone: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    start, serve, *rest = steps()
    began = clone.run(start.text)
    if not began.ok and NO_NETWORK.search(began.output):
        pytest.skip(f"no packages can be installed here: {began.output[-300:]}")
    said = [f"\nREADME in a fresh clone: {began.seconds:.1f} s  {start.text}"]
    assert began.ok, began.output
    assert "25,440" in began.output and "It works." in began.output
    with serving(clone, serve.text):
        for path in ("/", "/docs"):  # what README has a browser open
            page = httpx.get(f"http://{clone.server}{path}", trust_env=False)
            assert page.status_code == 200 and "<html" in page.text, path
        for step in rest:
            done = clone.run(step.text)
            said.append(f"  {done.seconds:5.1f} s  {step.text}")
            if step.text.endswith("doctor"):  # without a GPU it must say so, and what to do
                assert done.ok or "ENGINE=embedded" in " ".join(done.output.split()), done.output
                continue
            assert done.ok, f"{step.text}\n{done.output}"
    with capsys.disabled():
        print("\n".join(said))
    home = clone.repository.parent / "home"
    assert {path.name for path in home.iterdir()} <= {".curlrc", ".cache", ".config"}


def test_it_leaves_the_clone_clean(clone: Machine) -> None:
    """What its commands write is ignored, or was asked for: git sees nothing else."""
    done = subprocess.run(
        ["git", "status", "--porcelain"],
        cwd=clone.repository,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split("\n")) <= {"", "?? out.jsonl"}, done.stdout
