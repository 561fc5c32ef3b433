"""Every command of every document runs, or says why it cannot."""

import json
import re
import shutil
from collections.abc import Callable

import pytest

from tests.docs.conftest import different
from tests.docs.document import Command
from tests.docs.lent import Lent
from tests.docs.machine import Machine
from tests.inference_server import REPO

Tell = Callable[[str, object], None]

COMMANDS = [command for command in different() if not command.why]
# They print nothing where all is well.
SILENT = ("export ", "source ", "mkdir ")
SHOWN = re.search(r"\$ (curl .*)\n((?:.*\n)*?)```", (REPO / "README.md").read_text())
DOWNLOAD = re.compile(r"(?:pull|download_model\.sh) (qwen3-vl:\w+)")
REASONS = re.compile(
    r"needs (?:a GPU|an account|root|a machine|Ray|a cluster|systemd|git|the package index)"
    r"|is the whole "
)


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_command(machine: Machine, lent: Lent, command: Command, record_property: Tell) -> None:
    if command.text.startswith("curl") and not shutil.which("curl"):
        pytest.skip("curl is not installed")
    if command.text.startswith("ollama ") and not shutil.which(
        "ollama", path=machine.environment["PATH"]
    ):
        pytest.skip("there is no Ollama for this machine: see tests/ollama_daemon/install.py")
    if download := DOWNLOAD.search(command.text):
        lent.installed.discard(download[1])  # or there would be nothing to do
    result = machine.run(command.text, command.exports)
    first = next(iter(result.output.strip().splitlines()), "(printed nothing)")
    sign = "ok    " if result.ok else "FAILED"
    record_property("run", f"{sign} {result.seconds:5.1f} s  {command}\n    {first[:110]}")
    assert result.ok, result.output
    assert not download or download[1] in lent.installed
    assert result.output or command.text.startswith(SILENT)
    if "/v1/" in command.text and "Accept: text/plain" not in command.text:
        assert answered(result.output), result.output


def answered(output: str) -> bool:
    """An answer with text in it, whole or as a stream; or what a list or a status says."""
    if "event: done" in output or '"type":"done"' in output.replace(" ", ""):
        return True
    told = json.loads(output.splitlines()[-1])
    return bool({"text", "choices", "data", "engine", "event"} & set(told))


def test_there_are_enough() -> None:
    assert len(COMMANDS) >= 60


def test_the_reasons_are_reasons(record_property: Tell) -> None:
    left = [command for command in different() if command.why]
    assert left
    for command in left:
        assert REASONS.search(command.why), command
        record_property("not run", f"{command}  [{command.why}]")


def test_the_first_screen(machine: Machine) -> None:
    """README shows what is printed, with `...` for what is left out."""
    assert SHOWN is not None
    line, shown = SHOWN.groups()
    printed = machine.run(line).output
    rest = printed
    for passage in shown.split("...\n"):
        assert passage in rest
        rest = rest.split(passage, 1)[1]
    assert printed.startswith(shown.split("...\n")[0])


def test_a_command_that_fails_is_seen(machine: Machine) -> None:
    """The harness itself: a wrong path, a wrong option, a server that does not start."""
    for line in (
        "curl localhost:8000/v1/nothing",
        "python -m app ocr nothing.png",
        "cat nothing | cat",
        "ENGINE=nothing ./run_server.sh",
    ):
        assert not machine.run(line).ok, line
