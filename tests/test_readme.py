"""What README.md shows is what happens: its curl lines run, on the embedded engine."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.engine_embedded import embedded_engine
from tests.server import REPO, Server

README = (REPO / "README.md").read_text()
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
CURLS = [line for block in BLOCKS for line in block.splitlines() if line.startswith("curl ")]
SHOWN = re.search(r"\$ (curl .*)\n((?:.*\n)*?)```", README)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed, which the README's lines use")
    folder = tmp_path_factory.mktemp("readme")
    with (
        embedded_engine(folder / "engine.log") as url,
        Server(folder / "server.log", OLLAMA_HOST=url, MODEL_NAME="embedded") as server,
    ):
        yield server


def run(server: Server, line: str) -> str:
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


def test_there_are_lines_to_run() -> None:
    assert len(CURLS) >= 6


def test_all_settings_are_told() -> None:
    from app.settings import Settings  # noqa: PLC0415

    told = set(re.findall(r"`([A-Z_]+)`", README.split("## Settings")[1]))
    assert {name.upper() for name in Settings.model_fields} <= told
