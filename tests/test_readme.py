"""What README.md shows is what happens: its curl lines run, on the embedded engine."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine_embedded import embedded_engine
from tests.server import REPO, Server

README = (REPO / "README.md").read_text()
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
CURLS = [line for block in BLOCKS for line in block.splitlines() if line.startswith("curl ")]
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if "python -m app" in line]
SHOWN = re.search(r"\$ (curl .*)\n((?:.*\n)*?)```", README)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_engine(tmp_path_factory.mktemp("readme") / "engine.log") as url:
        yield url


@pytest.fixture(scope="module")
def server(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("readme") / "server.log"
    with Server(log, OLLAMA_HOST=engine, MODEL_NAME="embedded") as server:
        yield server


def run(server: Server, line: str) -> str:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed, which the README's lines use")
    words = shlex.split(line.replace("localhost:8000", server.url))
    command = [*words[:1], "-s", "--fail-with-body", "--noproxy", "*", *words[1:]]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_first_screen(server: Server) -> None:
    assert SHOWN is not None
    line, shown = SHOWN.groups()
    printed = run(server, line)
    rest = printed
    for passage in shown.split("...\n"):
        assert passage in rest
        rest = rest.split(passage, 1)[1]
    assert printed.startswith(shown.split("...\n")[0])


@pytest.mark.parametrize("line", CURLS)
def test_curl(server: Server, line: str) -> None:
    printed = run(server, line)
    print(printed)
    assert '"text":' in printed or "event: done" in printed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands may write."""
    folder = tmp_path_factory.mktemp("commands")
    shutil.copytree(REPO / "examples", folder / "examples")
    return folder


@pytest.mark.parametrize("line", COMMANDS)
def test_command(server: Server, engine: str, folder: Path, line: str) -> None:
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONPATH": str(REPO),
        "HOME": str(folder),
        "PORT": str(server.port),
        "OLLAMA_HOST": engine,
        "MODEL_NAME": "embedded",
    }
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout or "0 failed" in done.stderr


def test_there_are_lines_to_run() -> None:
    assert len(CURLS) >= 6
    assert len(COMMANDS) >= 12


def test_all_settings_are_told() -> None:
    from app.settings import Settings  # noqa: PLC0415

    told = set(re.findall(r"`([A-Z_]+)`", README.split("## Settings")[1]))
    assert {name.upper() for name in Settings.model_fields} <= told
