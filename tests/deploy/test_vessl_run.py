"""Every command inside the two YAMLs, on a bare machine, up to an answer; and once more, as after a
restart, with the model's folder alone left."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.deploy.environment import CACHE
from tests.deploy.machine import Machine, Running
from tests.deploy.test_vessl_forms import RUN, SERVICE
from tests.inference_server import REPO
from tests.ports import free_port

KEY = "a-secret-of-the-console"
TABLE = REPO / "examples" / "table.png"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    CACHE.mkdir(exist_ok=True)
    machine = Machine(tmp_path / "a disk")  # a space: commands must quote
    engine = f'exec "{sys.executable}" -m tests.deploy.pulling_engine "$@"'
    machine.command("ollama", f'cd "{REPO}" && {engine}')
    machine.settings["PULLS"] = str(tmp_path / "pulls")
    return machine


def play(machine: Machine, path: Path, **settings: str) -> Running:
    """Do with a YAML what VESSL does; ports, folders and the model are this machine's."""
    spec = yaml.safe_load(path.read_text())
    variables = {name: value for name, value in spec["env"].items() if isinstance(value, str)}
    secrets = {name for name, value in spec["env"].items() if isinstance(value, dict)}
    variables |= dict.fromkeys(secrets, KEY)
    models = machine.root / Path(spec["env"]["OLLAMA_MODELS"]).name
    here = {"OLLAMA_MODELS": str(models), "MODEL_NAME": "embedded", "PORT": str(free_port())}
    here |= {"OLLAMA_HOST": f"127.0.0.1:{free_port()}"}
    machine.settings |= variables | here | settings
    (step,) = spec["run"]
    assert step["workdir"] == "/root/app"
    return machine.start(step["command"])


def curl(machine: Machine, path: str, *arguments: str) -> tuple[int, Any]:
    """Status and body."""
    url = f"http://127.0.0.1:{machine.settings['PORT']}{path}"
    command = ["curl", "-sS", "--noproxy", "*", "-w", "\n%{http_code}", *arguments, url]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    body, _, status = told.rpartition("\n")
    try:
        return int(status), json.loads(body)
    except json.JSONDecodeError:
        return int(status), body


def reads(machine: Machine) -> None:
    """Ready, closed to those without the key, and open to those with it."""
    assert curl(machine, "/ready") == (200, {"status": "ready", "model": "embedded"})
    form = ("-F", f"image=@{TABLE}")
    assert curl(machine, "/v1/ocr", *form)[0] == 401
    status, answer = curl(machine, "/v1/ocr", *form, "-H", f"Authorization: Bearer {KEY}")
    assert status == 200
    known = TABLE.with_suffix(".txt").read_text().split()
    assert set(re.findall(r"[A-Za-z]{4,}", answer["text"])) & set(known), answer["text"]


def old_python() -> Path | None:
    """A 3.10, as in VESSL's images, where this machine has one."""
    found = shutil.which("python3.10")
    candidates = [Path(found)] if found and "shims" not in found else []
    candidates += sorted(Path("~/.pyenv/versions").expanduser().glob("3.10.*/bin/python3.10"))
    return candidates[0] if candidates else None


def test_the_run_and_its_restart(machine: Machine) -> None:
    if old := old_python():  # the image's own Python is too old; another is found
        (machine.root / "bin" / "python3").rename(machine.root / "bin" / "python3.11")
        (machine.root / "bin" / "python3").symlink_to(old)
    first = play(machine, RUN)
    first.wait_for_log("Ready: ")
    assert "Downloading embedded" in first.log()
    assert KEY not in first.log()
    reads(machine)
    first.stop()
    assert (machine.root.parent / "pulls").read_text() == "one\n"

    machine.clone()
    again = play(machine, RUN)
    again.wait_for_log("Ready: ")
    assert "Downloading" not in again.log()
    assert (machine.root.parent / "pulls").read_text() == "one\n"
    assert curl(machine, "/ready")[0] == 200
    again.stop()


def test_the_service(machine: Machine) -> None:
    """Where it looks for health and counts, it finds them, without a key."""
    running = play(machine, SERVICE, ENGINE="embedded")
    running.wait_for_log("Ready: ")
    reads(machine)
    service = yaml.safe_load(SERVICE.read_text())["service"]
    assert curl(machine, service["healthcheck"]["path"])[0] == 200
    status, counts = curl(machine, service["monitoring"][0]["path"])
    assert status == 200
    assert "vlm_queue_depth 0.0" in counts
    running.stop()


def test_without_the_secret_nothing_is_downloaded(machine: Machine) -> None:
    running = play(machine, RUN, API_KEY="")
    assert running.process.wait(120) == 1
    assert running.log() == (
        "HOST=0.0.0.0 is reachable from other machines and no API key is set: "
        "set API_KEY to a secret that clients send.\n"
    )


def test_ollama_is_installed_where_it_is_missing(machine: Machine) -> None:
    """From its site: here, a folder with an installer that puts the engine on PATH."""
    (machine.root / "bin" / "ollama").rename(machine.root / "bin" / "unpacked")
    machine.command("zstd", "exit 0")
    site = machine.root / "site"
    site.mkdir()
    folder = machine.root / "bin"
    (site / "install.sh").write_text(f"{shutil.which('mv')} '{folder}/unpacked' '{folder}/ollama'")
    running = play(machine, RUN, OLLAMA_SITE=site.as_uri())
    running.wait_for_log("Starting the ollama engine")
    assert "Installing Ollama" in running.log()
    running.stop()


def test_an_installer_that_cannot_be_had_ends_the_run(machine: Machine) -> None:
    (machine.root / "bin" / "ollama").unlink()
    machine.command("zstd", "exit 0")
    running = play(machine, RUN, OLLAMA_SITE="file:///nonexistent")
    assert running.process.wait(120) != 0
    assert "curl" in running.log()
