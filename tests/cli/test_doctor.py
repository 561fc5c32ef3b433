"""`python -m app doctor`, as a command: what it prints, and how it ends."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.models.catalog import BY_TAG, ENTRIES, GIB
from tests.cli.command import doctor, told
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import REPO, Server
from tests.ollama_daemon.process import Daemon
from tests.ports import free_port
from tests.scripts.conftest import fake_ollama as fake_ollama  # noqa: PLC0414 - a fixture


def test_the_arithmetic_of_32b_on_24_gb_proves_itself() -> None:
    """Everything here is read from what was printed."""
    done = doctor("--vram-gb", "24")
    assert done.returncode == 0, done.stderr
    text = done.stdout
    head = re.search(r"^qwen3-vl:32b on ([\d.]+) GiB: num_ctx (\d+), (\d+) slot", text, re.M)
    assert head
    vram, num_ctx, slots = float(head[1]), int(head[2]), int(head[3])
    terms = re.findall(r"^  [ +] *([\d.]+) GiB  (.*)", text, re.M)
    assert [label.split(":")[0].split(",")[0] for _, label in terms] == [
        "reserved",
        "engine buffers",
        "weights with the vision tower",
        "f16 cache",
    ]
    total = re.search(r"^  = *([\d.]+) GiB", text, re.M)
    assert total
    assert round(sum(float(gib) for gib, _ in terms), 2) == float(total[1]) <= vram == 24
    cache = re.search(r"(\d+) tokens x (\d+) bytes", terms[3][1])
    shape = re.search(r"(\d+) layers x (\d+) heads x (\d+) x 2 \(keys, values\) x 2 bytes", text)
    assert cache and shape
    layers, heads, dimension = map(int, shape.groups())
    assert (layers, heads, dimension) == (64, 8, 128)
    assert int(cache[1]) == num_ctx * slots >= 8192
    assert int(cache[2]) == layers * heads * dimension * 2 * 2
    assert int(cache[1]) * int(cache[2]) / GIB <= float(terms[3][0])
    more = re.search(r"(\d+) tokens would need ([\d.]+) GiB", text)
    assert more
    assert int(more[1]) == num_ctx + 1024
    assert float(more[2]) > vram
    extra = 1024 * slots * int(cache[2]) / GIB
    assert float(more[2]) == pytest.approx(float(total[1]) + extra, abs=0.011)


def test_every_model_of_the_catalogue_has_a_line_of_80_columns_without_colours() -> None:
    done = doctor("--vram-gb", "24", FORCE_COLOR="")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\033" not in done.stdout
    for entry in ENTRIES:
        (line,) = (line for line in lines if line.startswith(f" {entry.tag} "))
        assert ("fits" in line) == (entry.tag != "qwen3-vl:235b")
        assert ("~" in line) == entry.estimated
    assert "use qwen3-vl:32b" in done.stdout


def test_as_json() -> None:
    answer = told("--vram-gb", "24")
    assert answer["ok"] is True
    assert [one["model"] for one in answer["plans"]] == list(BY_TAG)
    chosen = answer["plan"]
    assert chosen["model"] == "qwen3-vl:32b"
    assert chosen["num_ctx"] == 9216
    assert round(sum(term["gib"] for term in chosen["terms"]), 2) == chosen["needed_gib"] <= 24
    assert not next(one for one in answer["plans"] if one["model"] == "qwen3-vl:235b")["fits"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--vram-gb", "12"), 1, "does not fit: use qwen3-vl:8b"),
        (("--vram-gb", "12", "--model", "qwen3-vl:14b"), 0, "Note: qwen3-vl:14b was never"),
        (("--vram-gb", "24", "--model", "qwen3-vl:32b-q4"), 0, "Note: qwen3-vl:32b-q4 was never"),
        (("--vram-gb", "24", "--model", "qwen3-vl:32b-instruct"), 0, "qwen3-vl:32b fits"),
        (("--vram-gb", "141", "--model", "qwen3-vl:235b"), 0, "qwen3-vl:235b fits"),
        (("--vram-gb", "24", "--model", "llava"), 2, "not in the catalogue"),
        (("--vram-gb", "0"), 2, "Invalid value"),
        (("--vram-gb", "inf"), 2, "Invalid value"),
        (("--vram-gb", "nan"), 2, "Invalid value"),
    ],
)
def test_how_it_ends(arguments: tuple[str, ...], status: int, words: str) -> None:
    done = doctor(*arguments)
    assert done.returncode == status, done.stdout + done.stderr
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_slots_come_from_the_settings() -> None:
    """Ollama runs one for qwen3-vl, whatever they say: it has the whole context."""
    answer = told("--vram-gb", "24", OLLAMA_NUM_PARALLEL="4")
    chosen = answer["plan"]
    assert (chosen["slots"], chosen["cache_type"], chosen["num_ctx"]) == (1, "f16", 9216)
    (slots,) = (check for check in answer["checks"] if check["name"] == "slots")
    assert slots["ok"] is None and "one request at a time" in slots["text"]


def test_a_wrong_setting_is_one_sentence(tmp_path: Path) -> None:
    done = doctor("--vram-gb", "24", cwd=tmp_path, NUM_CTX="much")
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("The setting NUM_CTX is invalid")


def test_the_real_engine_is_named(daemon: Daemon, tmp_path: Path) -> None:
    done = doctor(cwd=tmp_path, OLLAMA_HOST=daemon.url, MODEL_NAME="tiny-vlm", COLUMNS="200")
    assert f"Version {daemon.version} at {daemon.url}." in done.stdout
    assert "tiny-vlm is installed and can see." in done.stdout
    assert done.returncode == 0, done.stdout  # a tiny model needs neither a GPU nor a new Ollama
    missing = told(cwd=tmp_path, OLLAMA_HOST=daemon.url)
    found = {check["name"]: check for check in missing["checks"]}
    assert found["engine"]["ok"] is False
    assert "qwen3-vl:32b needs 0.12.7 or newer" in found["engine"]["text"]
    assert found["model"]["ok"] is False
    assert "./download_model.sh qwen3-vl:32b" in found["model"]["text"]


def test_no_engine(tmp_path: Path, without_gpu: dict[str, str]) -> None:
    """As on a machine without GPU and Ollama: it says what to do next, and ends with 1."""
    done = doctor(cwd=tmp_path, **without_gpu, OLLAMA_HOST=f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    found = {line.split()[1]: line.split()[0] for line in lines if line and line.split()[1:]}
    names = ("gpu", "driver", "engine", "model", "loaded", "plan", "disk", "port")
    assert [found[name] for name in names] == ["FAIL", "-", "FAIL", "-", "-", "-", "OK", "OK"]
    assert "No engine answers at" in done.stdout
    assert lines[-1].startswith("Next: ENGINE=embedded ./quick_start.sh reads text on this machine")
    assert "Traceback" not in done.stderr


def test_on_a_simulated_machine_of_24_gb_all_is_well(tmp_path: Path) -> None:
    done = doctor("--vram-gb", "24", cwd=tmp_path)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "Simulated: this machine and its engine were not checked."
    names = ["gpu", "driver", "engine", "model", "loaded", "plan", "disk", "port"]
    assert [line.split()[:3] for line in lines[1:9]] == [["OK", n, "Simulated:"] for n in names]
    answer = told("--vram-gb", "24")
    assert (answer["ok"], answer["simulated"]) == (True, True)
    assert [check["name"] for check in answer["checks"]] == names
    assert all(check["ok"] for check in answer["checks"])
    small = told("--vram-gb", "12")
    assert {c["name"] for c in small["checks"] if c["ok"] is False} == {"plan"}


def test_the_port(tmp_path: Path) -> None:
    """Free, taken by ourselves (with and without a key), or by something else."""

    def port(number: int) -> dict[str, Any]:
        (check,) = (c for c in told(cwd=tmp_path, **here(number))["checks"] if c["name"] == "port")
        return check  # type: ignore[no-any-return]

    def here(number: int) -> dict[str, str]:
        return {"PORT": str(number), "OLLAMA_HOST": "127.0.0.1:9"}

    number = free_port()
    assert port(number)["ok"] and f"{number} is free" in port(number)["text"]
    with Server(tmp_path / "log", OLLAMA_HOST="127.0.0.1:9") as server:
        assert port(server.port)["text"] == f"This server answers at {server.url}."
    with Server(tmp_path / "log", OLLAMA_HOST="127.0.0.1:9", API_KEY="a") as server:
        assert port(server.port)["text"] == f"This server answers at {server.url}."
    with FakeOllama() as other:
        check = port(other.port)
        assert check["ok"] is False
        assert f"{other.port} is in use by another program" in check["text"]


def test_an_engine_on_this_machine_with_a_gpu(fake_ollama: FakeOllama, tmp_path: Path) -> None:
    """The GPU is nvidia-smi's word; the disk is that of the test."""
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 0, GPU-1, Made-up, 24564, 24000\n")
    smi.chmod(0o755)
    answer = told(cwd=tmp_path, OLLAMA_HOST=fake_ollama.url, PATH=str(tmp_path))
    found = {check["name"]: check for check in answer["checks"]}
    if answer["gpu_source"] == "nvml":
        pytest.skip("this machine has a GPU of its own")
    assert "Made-up, 23.99 GiB (23.44 free)" in found["gpu"]["text"]
    assert answer["plan"]["num_ctx"] == 9216
    assert found["plan"]["ok"]


def test_the_server_does_not_load_the_commands() -> None:
    """structlog loads rich by itself, where it is installed; typer and NVML nobody needs."""
    rooms = "{'typer', 'pynvml', 'app.cli', 'app.bulk', 'app.client'}"
    code = f"import sys, app.main; print({rooms} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_the_commands_do_not_load_the_server() -> None:
    rooms = "{'fastapi', 'starlette', 'uvicorn', 'app.main', 'app.routes', 'app.tasks'}"
    code = f"import sys, app.cli; print({rooms} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
