"""The guide in both languages: the same commands, each as its program takes it, links that lead
somewhere."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.machine import Machine
from tests.deploy.test_vessl_forms import ask
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import REPO, Server

GUIDE = REPO / "docs" / "VESSL_SETUP_GUIDE.md"
KOREAN = REPO / "docs" / "VESSL_SETUP_GUIDE.ko.md"
KEY = "a-secret"

# These need an account, a network to VESSL, or the machine there.
ELSEWHERE = ("vesslctl", "vessl", "python3", "~/.vessl-cli/bin/pip", "export", "cat", "tail")


def commands(path: Path) -> list[str]:
    text = path.read_text().replace("\\\n", " ")
    blocks = re.findall(r"^```bash\n(.*?)^```", text, re.M | re.S)
    return [line for block in blocks for line in block.splitlines()]


def test_both_languages_have_the_same_commands() -> None:
    assert commands(GUIDE) == commands(KOREAN)


def test_the_commands_of_vessl_are_its_own() -> None:
    words = [shlex.split(line) for line in commands(GUIDE) if line.startswith("vessl ")]
    assert len(words) == 11
    complaints = ask(commands=words)["commands"]
    assert complaints == [[]] * len(words)


def test_commands_that_do_not_exist_are_refused() -> None:
    """Those of a guide in circulation."""
    wrong = [
        "vessl run port-forward 1 8000",
        "vessl secret create key --from-literal a=b",
        "vessl run logs 1 --since 1h",
        "vessl service create-revision -f service.yaml",
        "vessl storage create-volume models",
        "vessl run terminate",
    ]
    complaints = ask(commands=[shlex.split(line) for line in wrong])["commands"]
    assert [bool(one) for one in complaints] == [True] * len(wrong), complaints


def test_its_requests_are_answered(tmp_path: Path) -> None:
    asked = [line for line in commands(GUIDE) if line.startswith("curl") and "$URL" in line]
    assert len(asked) == 2
    machine = Machine(tmp_path / "disk")
    settings = {"MODEL_NAME": "fake-vlm", "API_KEY": KEY}
    with (
        FakeOllama() as fake_ollama,
        Server(tmp_path / "log", OLLAMA_HOST=fake_ollama.url, **settings) as server,
    ):
        for line in asked:
            fails = line.replace("curl", "curl -sS --fail --noproxy '*'", 1)
            status, told = machine.run(fails, URL=server.url, API_KEY=KEY)
            assert status == 0, told


def test_every_other_command_is_known_to_be_untested() -> None:
    left = [line for line in commands(GUIDE) if "$URL" not in line]
    for line in left:
        assert line.startswith((*ELSEWHERE, "curl -fsSL https://api.cloud.vessl.ai/")), line


@pytest.mark.parametrize("path", [GUIDE, KOREAN], ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in links(path):
        if target.startswith("#"):
            assert target[1:] in anchors(path), target
        else:
            assert (path.parent / target).exists(), target


def links(path: Path) -> Iterator[str]:
    return iter(re.findall(r"\]\(([^)]+)\)", path.read_text()))


def anchors(path: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def test_what_it_names_is_there() -> None:
    """Names that the guide and the YAMLs share."""
    run, service = (
        (REPO / "vessl.yaml").read_text(),
        (REPO / "deploy" / "vessl-service.yaml").read_text(),
    )
    for path in (GUIDE, KOREAN):
        text = path.read_text()
        for name in (
            "qwen3-vl-api-key",
            "volume://vessl-storage/qwen3-vl-models",
            "vessl-oci-sanjose",
        ):
            assert name in text and name in run and name in service, name
