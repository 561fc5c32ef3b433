"""quick_start.sh from start to end.

All of it but the downloads: the checkout's Python has the packages, so pip finds nothing to fetch.
"""

import shutil

import pytest

from tests.ollama_daemon.install import install
from tests.ollama_daemon.models import store
from tests.ollama_daemon.process import Daemon
from tests.ports import free_port
from tests.scripts.conftest import ROOT, Checkout, Site, ends

EMBEDDED = ROOT / "app" / "embedded" / "__main__.py"


def test_with_a_daemon_and_again(checkout: Checkout, daemon: Daemon) -> None:
    environment = {"OLLAMA_HOST": daemon.url, "MODEL_NAME": "tiny-vlm"}
    done = checkout.run("quick_start.sh", **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Installing the packages of requirements.txt" in done.stdout
    assert done.stdout.count("\n== ") == 4
    assert done.stdout.strip().endswith(
        f"OLLAMA_HOST={daemon.url} ENGINE=ollama MODEL_NAME=tiny-vlm ./run_server.sh"
    )
    assert (checkout.folder / ".cache" / "engine").read_text() == "ollama\n"
    again = checkout.run("quick_start.sh", **environment)
    assert again.returncode == 0
    assert "Installing" not in again.stdout


def test_ollama_is_installed_where_there_is_a_gpu(checkout: Checkout, daemon: Daemon) -> None:
    """The site's installer here puts the real daemon on PATH. It is started and stopped twice:
    for the check of the model, and for the answers."""
    checkout.command("nvidia-smi", 'echo "GPU 0: NVIDIA H100 (UUID: GPU-1)"')
    checkout.command("id", "echo 0")
    checkout.command("unpacked", f'exec "{install() / "ollama"}" "$@"')
    with Site(f"cd '{checkout.folder}/bin' && {shutil.which('mv')} unpacked ollama") as site:
        run = checkout.start(
            "quick_start.sh",
            OLLAMA_SITE=site.url,
            OLLAMA_HOST=f"127.0.0.1:{free_port()}",
            OLLAMA_MODELS=str(store() / "models"),
            OLLAMA_NOPRUNE="1",
            MODEL_NAME="tiny-vlm",
        )
        output, _ = run.communicate(timeout=120)
    assert run.returncode == 0, output
    assert "Installing Ollama from " in output
    assert "tiny-vlm is installed and can see." in output
    assert output.count("over tall grass") == 4
    assert ends(run.pid)


@pytest.mark.skipif(not EMBEDDED.exists(), reason="app/embedded has no __main__.py")
def test_the_embedded_engine_steps_in(checkout: Checkout, daemon: Daemon) -> None:
    """The daemon that answers is too old for qwen3-vl; asked for by name, that is the end."""
    insisting = checkout.run("quick_start.sh", OLLAMA_HOST=daemon.url, ENGINE="ollama")
    assert insisting.returncode == 1
    assert "qwen3-vl needs 0.12.7 or newer" in insisting.stderr
    run = checkout.start("quick_start.sh", OLLAMA_HOST=daemon.url)
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 0, output
    assert "qwen3-vl needs 0.12.7 or newer" in output
    assert "Continuing with the embedded engine" in output
    assert "25,440" in output
    assert output.strip().endswith("ENGINE=embedded MODEL_NAME=embedded ./run_server.sh")
    assert ends(run.pid)
