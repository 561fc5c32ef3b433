"""download_model.sh against the real daemon, and a fake one for what the real cannot show."""

from collections.abc import Iterator

import pytest

from app.models.catalog import is_new_enough
from tests.fake_ollama.script import MB, SUCCESS, downloading
from tests.fake_ollama.server import FakeOllama
from tests.ollama_daemon.install import install
from tests.ollama_daemon.models import store
from tests.ollama_daemon.process import Daemon
from tests.ports import free_port
from tests.scripts.conftest import Checkout, ends


@pytest.fixture(scope="module")
def offline_daemon(_daemon_process: Daemon) -> Iterator[Daemon]:
    """A daemon that cannot reach its registry, wherever the tests run."""
    with Daemon(HTTPS_PROXY="http://127.0.0.1:9") as daemon:
        yield daemon


def test_no_network_is_one_sentence(checkout: Checkout, offline_daemon: Daemon) -> None:
    done = checkout.run("download_model.sh", "llava:7b", OLLAMA_HOST=offline_daemon.url)
    assert done.returncode != 0
    assert "llava:7b is not in our catalogue" in done.stdout
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(f"Ollama at {offline_daemon.url} cannot reach its registry")


def test_an_old_daemon_is_told_to_update(checkout: Checkout, daemon: Daemon) -> None:
    if is_new_enough(daemon.version):
        pytest.skip(f"Ollama {daemon.version} is new enough.")
    done = checkout.run("download_model.sh", OLLAMA_HOST=daemon.url)
    assert done.returncode != 0
    assert (
        f"Ollama at {daemon.url} is {daemon.version}; qwen3-vl needs 0.12.7 or newer."
        in done.stderr
    )


def test_an_installed_model_is_only_checked(checkout: Checkout, daemon: Daemon) -> None:
    host = daemon.url.removeprefix("http://")
    sees = checkout.run("download_model.sh", OLLAMA_HOST=host, MODEL_NAME="tiny-vlm")
    assert sees.returncode == 0, sees.stderr
    assert "tiny-vlm is installed and can see." in sees.stdout
    assert "Downloading" not in sees.stdout
    assert (checkout.folder / ".cache" / "engine").read_text() == "ollama\n"
    blind = checkout.run("download_model.sh", "tiny-text", OLLAMA_HOST=host)
    assert blind.returncode != 0
    assert "tiny-text is installed but cannot see" in blind.stderr


def test_an_installed_ollama_runs_for_the_download(checkout: Checkout, daemon: Daemon) -> None:
    checkout.command("ollama", f'exec "{install() / "ollama"}" "$@"')
    run = checkout.start(
        "download_model.sh",
        "tiny-vlm",
        OLLAMA_HOST=f"127.0.0.1:{free_port()}",
        OLLAMA_MODELS=str(store() / "models"),
        OLLAMA_NOPRUNE="1",
    )
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 0, output
    assert "Starting Ollama for the download" in output
    assert "tiny-vlm is installed and can see." in output
    assert ends(run.pid), "the daemon was left running"


def test_progress_retry_and_a_name_that_was_never_published(
    checkout: Checkout, fake_ollama: FakeOllama
) -> None:
    fake_ollama.pulls = [
        downloading(100 * MB, 3050 * MB, total=6100 * MB),
        [*downloading(3050 * MB, 6100 * MB, total=6100 * MB), *SUCCESS],
    ]
    done = checkout.run("download_model.sh", "qwen3-vl:14b", OLLAMA_HOST=fake_ollama.url)
    assert done.returncode == 0, done.stderr
    assert fake_ollama.pulled == ["qwen3-vl:8b", "qwen3-vl:8b"]
    assert "Note: qwen3-vl:14b was never published; qwen3-vl:8b is the nearest" in done.stdout
    assert "Downloading qwen3-vl:8b (6.1 GB)" in done.stdout
    assert "The connection broke" in done.stdout
    assert " 50%  3.0 of 6.1 GB" in done.stdout
    assert "100%  6.1 of 6.1 GB" in done.stdout
    assert "qwen3-vl:8b is installed and can see." in done.stdout


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("pull model manifest: file does not exist", "registry has no model qwen3-vl:2b"),
        (
            'pull model manifest: Get "https://registry.ollama.ai/v2/": dial tcp: lookup '
            "registry.ollama.ai: no such host",
            "cannot reach its registry",
        ),
        ("write /blobs/1-partial: no space left on device", "The disk is full."),
        ("412: requires a newer version of Ollama", "needs a newer Ollama"),
    ],
)
def test_errors_of_the_daemon(
    checkout: Checkout, fake_ollama: FakeOllama, error: str, sentence: str
) -> None:
    fake_ollama.pulls = [[{"status": "pulling manifest"}, {"error": error}]]
    done = checkout.run("download_model.sh", "qwen3-vl:2b", OLLAMA_HOST=fake_ollama.url)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_noticed_before(checkout: Checkout, fake_ollama: FakeOllama) -> None:
    checkout.command("df", "printf 'Filesystem\\n/dev/x 99 9 %s 1%% /\\n' 20000000")
    done = checkout.run("download_model.sh", OLLAMA_HOST=fake_ollama.url)
    assert done.returncode != 0
    assert "qwen3-vl:32b needs 23 GB" in done.stderr
    assert "20 GB free" in done.stderr
    assert not fake_ollama.pulled


def test_nothing_there(checkout: Checkout) -> None:
    local = checkout.run("download_model.sh", OLLAMA_HOST=f"127.0.0.1:{free_port()}")
    assert local.returncode != 0
    assert local.stderr.startswith("Ollama is not installed.")
