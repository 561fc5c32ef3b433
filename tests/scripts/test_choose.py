"""Which engine quick_start.sh takes, by what the machine has."""

import pytest

from tests.fake_ollama.server import FakeOllama
from tests.ports import free_port
from tests.scripts.conftest import Checkout, Site

GPU = 'echo "GPU 0: NVIDIA GeForce RTX 4090 (UUID: GPU-1)"'


@pytest.fixture
def nowhere() -> str:
    """An OLLAMA_HOST where nothing answers."""
    return f"127.0.0.1:{free_port()}"


def choice(checkout: Checkout, **environment: str) -> str:
    done = checkout.run("quick_start.sh", "--choose", **environment)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    return line


def test_a_daemon_that_answers(checkout: Checkout, fake_ollama: FakeOllama) -> None:
    line = choice(checkout, OLLAMA_HOST=fake_ollama.url)
    assert line == f"Engine: ollama (version 0.12.7 answers at {fake_ollama.url})."


def test_an_installed_command(checkout: Checkout, nowhere: str) -> None:
    checkout.command("ollama", "exit 1")
    line = choice(checkout, OLLAMA_HOST=nowhere)
    assert line == "Engine: ollama (the command is installed)."


def test_nothing(checkout: Checkout, nowhere: str) -> None:
    line = choice(checkout, OLLAMA_HOST=nowhere)
    assert line == "Engine: embedded (there is no Ollama and no NVIDIA GPU here)."


def test_a_driver_without_a_gpu(checkout: Checkout, nowhere: str) -> None:
    checkout.command("nvidia-smi", "echo 'No devices were found'; exit 6")
    assert "no NVIDIA GPU" in choice(checkout, OLLAMA_HOST=nowhere)


def test_a_gpu_without_a_network(checkout: Checkout, nowhere: str) -> None:
    checkout.command("nvidia-smi", GPU)
    checkout.command("id", "echo 0")
    line = choice(checkout, OLLAMA_HOST=nowhere)
    assert line.startswith("Engine: embedded (there is an NVIDIA GPU, but no network to ")


def test_a_gpu_without_the_right_to_install(checkout: Checkout, nowhere: str) -> None:
    checkout.command("nvidia-smi", GPU)
    checkout.command("id", "echo 1000")
    assert "installing Ollama needs root" in choice(checkout, OLLAMA_HOST=nowhere)


def test_a_gpu_and_a_network(checkout: Checkout, nowhere: str) -> None:
    checkout.command("nvidia-smi", GPU)
    checkout.command("id", "echo 0")
    with Site("") as site:
        line = choice(checkout, OLLAMA_HOST=nowhere, OLLAMA_SITE=site.url)
    assert line.startswith("Engine: ollama (there is an NVIDIA GPU")
    assert "so Ollama is installed first" in line


def test_engine_by_name(checkout: Checkout, nowhere: str) -> None:
    assert choice(checkout, ENGINE="ollama", OLLAMA_HOST=nowhere).startswith("Engine: ollama")
    checkout.command("ollama", "exit 1")
    assert choice(checkout, ENGINE="embedded").startswith("Engine: embedded")
    done = checkout.run("quick_start.sh", "--choose", ENGINE="vllm")
    assert done.returncode == 1
    assert done.stderr == "ENGINE is 'vllm'; it must be ollama or embedded.\n"


def test_a_python_that_is_too_old(checkout: Checkout) -> None:
    checkout.command("python3", "exit 1")
    done = checkout.run("quick_start.sh")
    assert done.returncode == 1
    assert done.stderr.startswith("Python 3.11 or newer is needed")
