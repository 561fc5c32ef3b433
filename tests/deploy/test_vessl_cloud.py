"""The init script for VESSL Cloud, with the two folders and the repository of a bare machine."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from tests.deploy.machine import Machine
from tests.inference_server import REPO
from tests.polling import wait_until
from tests.scripts.conftest import ends

SCRIPT = REPO / "deploy" / "vessl-cloud-init.sh"
STANDS_FOR = "echo started with $HOST $PORT $OLLAMA_MODELS $API_KEY; exec sleep 60"


def test_the_init_script(tmp_path: Path) -> None:
    """Up to deploy/start.sh, whose own way is tested beside this; run again, it keeps the key."""
    machine = Machine(tmp_path / "disk")
    for tool in ("git", "nohup"):
        (machine.root / "bin" / tool).symlink_to(str(shutil.which(tool)))
    (machine.app / "deploy" / "start.sh").write_text(STANDS_FOR)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], cwd=machine.app, check=True)

    text = SCRIPT.read_text()
    home, models = machine.root / "home", machine.root / "models"
    text = text.replace("https://github.com/OWNER/REPOSITORY", f"file://{machine.app}")
    text = text.replace("/root/", f"{home}/").replace("/models", str(models))
    keys = []
    for _ in range(2):
        running = machine.start(text)
        assert running.process.wait(120) == 0, running.log()
        log = home / "start.log"
        wait_until(lambda: log.exists() and log.read_text().endswith("\n"))  # noqa: B023
        keys.append((models / "api-key").read_text().strip())
        assert log.read_text() == f"started with 0.0.0.0 8000 {models} {keys[-1]}\n"
        os.killpg(running.process.pid, signal.SIGTERM)
        assert ends(running.process.pid)
    assert keys[0] == keys[1] and len(keys[0]) == 48
    assert (models / "api-key").stat().st_mode & 0o077 == 0
    assert keys[0] not in running.log()
