"""`python -m app doctor`, as a command: what it prints, and how it ends."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.cli import checks
from app.cli.checks import Engine
from app.models.catalog import BY_TAG, ENTRIES, GIB
from app.models.gpu import Gpu, Gpus, look
from app.models.plan import plan
from tests.daemon.process import Daemon
from tests.ports import free_port
from tests.scripts.conftest import fake_ollama as fake_ollama  # noqa: PLC0414 - a fixture
from tests.scripts.fake_ollama import FakeOllama
from tests.server import REPO, Server
from tests.standin.engine import StandIn


def doctor(
    *arguments: str, cwd: Path = REPO, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run it with nothing of our own environment but what Python needs."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "app", "doctor", *arguments],
        cwd=cwd,
        env=kept | {"PYTHONPATH": str(REPO)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def told(*arguments: str, cwd: Path = REPO, **environment: str) -> dict[str, Any]:
    done = doctor(*arguments, "--json", cwd=cwd, **environment)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


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
        "never free",
        "buffers of the engine",
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
    assert "take qwen3-vl:32b" in done.stdout


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
        (("--vram-gb", "12"), 1, "does not fit: take qwen3-vl:8b"),
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
    chosen = told("--vram-gb", "24", OLLAMA_NUM_PARALLEL="2")["plan"]
    assert (chosen["slots"], chosen["cache_type"], chosen["num_ctx"]) == (2, "q8_0", 9216)


def test_a_wrong_setting_is_one_sentence(tmp_path: Path) -> None:
    done = doctor("--vram-gb", "24", cwd=tmp_path, NUM_CTX="much")
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("The setting NUM_CTX is wrong")


def test_the_real_engine_is_named(daemon: Daemon, tmp_path: Path) -> None:
    done = doctor(cwd=tmp_path, OLLAMA_HOST=daemon.url, MODEL_NAME="tiny-vlm", COLUMNS="200")
    assert f"Version 0.9.3 at {daemon.url}." in done.stdout
    assert "tiny-vlm is installed and can see." in done.stdout
    assert done.returncode == 0, done.stdout  # a tiny model needs neither a GPU nor a new Ollama
    missing = told(cwd=tmp_path, OLLAMA_HOST=daemon.url)
    found = {check["name"]: check for check in missing["checks"]}
    assert found["engine"]["ok"] is False
    assert "qwen3-vl:32b needs 0.12.7 or newer" in found["engine"]["text"]
    assert found["model"]["ok"] is False
    assert "./download_model.sh qwen3-vl:32b" in found["model"]["text"]


def test_no_engine(tmp_path: Path) -> None:
    """As on a machine without GPU and Ollama: it says what to do next, and ends with 1."""
    nobody = {"OLLAMA_HOST": f"127.0.0.1:{free_port()}", "PORT": str(free_port())}
    if look().found:
        pytest.skip("this machine has a GPU of its own")
    done = doctor(cwd=tmp_path, COLUMNS="200", PATH=str(tmp_path), **nobody)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    found = {line.split()[1]: line.split()[0] for line in lines if line and line.split()[1:]}
    names = ("gpu", "driver", "engine", "model", "loaded", "plan", "disk", "port")
    assert [found[name] for name in names] == ["FAIL", "-", "FAIL", "-", "-", "-", "OK", "OK"]
    assert "No engine answers at" in done.stdout
    assert lines[-1].startswith("Next: ENGINE=embedded ./quick_start.sh reads text here at once")
    assert "Traceback" not in done.stderr


def test_on_a_simulated_machine_of_24_gb_all_is_well(tmp_path: Path) -> None:
    done = doctor("--vram-gb", "24", cwd=tmp_path)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "Simulated: nothing of this machine was looked at, and no engine asked."
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
    with StandIn() as other:
        check = port(other.port)
        assert check["ok"] is False
        assert f"{other.port} is taken by something else" in check["text"]


@pytest.mark.parametrize(
    ("driver", "ok"),
    [("580.65.06", True), ("550.54", True), ("535.183", None), ("470.1", False), ("", None)],
)
def test_the_driver(driver: str, ok: bool | None) -> None:
    one = Gpu(0, "GPU-1", "A", 24 * GIB, 23 * GIB)
    check = checks.driver_check(Gpus((one,), "nvml", driver=driver))
    assert check.ok is ok, check.text
    assert ok is not False or "update it" in check.text


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


# --- the checks that no machine here can show -------------------------------------------------

ENTRY = BY_TAG["qwen3-vl:32b"]
URL = "http://127.0.0.1:11434"


def engine(loaded: Mapping[str, Any] | None = None, **shown: Any) -> Engine:
    return Engine(URL, "0.33.0", shown={"capabilities": ["vision"], **shown}, loaded=loaded)


def test_a_model_partly_on_the_cpu_is_wrong() -> None:
    entry = {"name": ENTRY.tag, "size": 25 * GIB, "size_vram": 20 * GIB}
    check = checks.loaded_check(engine(entry))
    assert check.ok is False
    assert "only 80% on the GPU" in check.text
    assert checks.loaded_check(engine({**entry, "size_vram": 25 * GIB})).ok is True
    assert checks.loaded_check(engine()).ok is None


def test_a_model_that_cannot_see_is_wrong() -> None:
    assert checks.model_check(engine(capabilities=["completion"]), "llama3").ok is False
    assert checks.model_check(engine(), ENTRY.tag).ok is True


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "not" / "yet"))
    assert checks.models_folder() == tmp_path
    for free, ok in ((20e9, False), (24e9, True)):
        usage = type("Usage", (), {"free": free})
        monkeypatch.setattr("shutil.disk_usage", lambda _, usage=usage: usage)
        check = checks.disk_check(Engine(URL, "0.33.0"), ENTRY)
        assert check.ok is ok, check.text
    assert checks.disk_check(Engine("http://box:11434"), ENTRY).ok is None
    assert checks.disk_check(engine(), ENTRY).ok is True


def test_gpus_are_all_named() -> None:
    one = Gpu(0, "GPU-1", "A", 24 * GIB, 23 * GIB)
    check = checks.gpu_check(Gpus((one, one), "nvml"), ENTRY)
    assert check.ok
    assert "together 48.00 GiB, over which Ollama splits" in check.text
    assert checks.gpu_check(Gpus(reason="the engine is on another machine"), ENTRY).ok is None
    assert checks.gpu_check(Gpus(reason="there is no NVIDIA driver"), ENTRY).ok is False
    assert checks.gpu_check(Gpus(reason="there is no NVIDIA driver"), None).ok is None


def test_a_context_that_was_set_too_large() -> None:
    card = plan(ENTRY, 24 * GIB)
    assert checks.plan_check(card, 9216).ok
    over = checks.plan_check(card, 32_768)
    assert over.ok is False
    assert "only 9216 fit" in over.text


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
