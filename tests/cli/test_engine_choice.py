"""The engine for which `python -m app doctor` plans: the one that ./run_server.sh would start."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from app.cli import engine_choice
from app.embedded.api.model_info import VERSION
from app.settings import Settings
from tests.cli.command import doctor, told
from tests.inference_server import REPO


def chose(folder: Path, engine: str) -> Path:
    """As quick_start.sh leaves its choice."""
    (folder / ".cache").mkdir()
    (folder / ".cache" / "engine").write_text(f"{engine}\n")
    return folder


def test_the_embedded_engine_that_quick_start_chose(
    tmp_path: Path, without_gpu: dict[str, str]
) -> None:
    """All is well: what ./run_server.sh starts is told, and no 21 GB are asked for."""
    done = doctor(cwd=chose(tmp_path, "embedded"), **without_gpu)
    assert done.returncode == 0, done.stdout
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert [line.split()[:2] for line in lines[:8]] == [
        ["-", "gpu"],
        ["-", "driver"],
        ["-", "engine"],
        ["OK", "model"],
        ["-", "loaded"],
        ["-", "plan"],
        ["OK", "disk"],
        ["OK", "port"],
    ]
    assert lines[2].endswith(
        "The embedded engine, chosen by ./quick_start.sh; ./run_server.sh starts it."
    )
    assert lines[3].endswith("embedded is installed and can see.")
    assert lines[-1] == (
        "Next: ./run_server.sh, if it is not running; then python -m app describe FILE. "
        "For qwen3-vl:32b run ./quick_start.sh on a machine with an NVIDIA GPU."
    )


@pytest.mark.parametrize(
    ("remembered", "arguments", "more", "model"),
    [
        ("embedded", (), {}, "embedded"),
        ("embedded", (), {"MODEL_NAME": ""}, "embedded"),
        ("embedded", (), {"MODEL_NAME": "embedded"}, "embedded"),
        ("embedded", (), {"MODEL_NAME": "qwen3-vl:8b"}, "qwen3-vl:8b"),
        ("embedded", (), {"ENGINE": "ollama"}, "qwen3-vl:32b"),
        ("embedded", (), {"OLLAMA_HOST": "127.0.0.1:9"}, "qwen3-vl:32b"),
        ("embedded", ("--model", "qwen3-vl:32b"), {}, "qwen3-vl:32b"),
        ("ollama", (), {}, "qwen3-vl:32b"),
        ("ollama", (), {"ENGINE": "embedded"}, "embedded"),
        ("", (), {"OLLAMA_HOST": "127.0.0.1:9"}, "qwen3-vl:32b"),
    ],
)
def test_a_choice_holds_until_another_is_named(
    remembered: str,
    arguments: tuple[str, ...],
    more: dict[str, str],
    model: str,
    tmp_path: Path,
    without_gpu: dict[str, str],
) -> None:
    answer = told(*arguments, cwd=chose(tmp_path, remembered), **without_gpu | more)
    assert answer["model"] == model
    assert answer["ok"] == (model == "embedded"), answer


def test_a_choice_in_the_file_of_settings(tmp_path: Path, without_gpu: dict[str, str]) -> None:
    (tmp_path / ".env").write_text("ENGINE=embedded\n")
    answer = told(cwd=tmp_path, **without_gpu)
    assert (answer["model"], answer["ok"]) == ("embedded", True)


def test_the_embedded_engine_that_runs(
    embedded: str, tmp_path: Path, without_gpu: dict[str, str]
) -> None:
    answer = told(cwd=tmp_path, **without_gpu, OLLAMA_HOST=embedded)
    other = told(cwd=tmp_path, **without_gpu, OLLAMA_HOST=embedded, MODEL_NAME="qwen3-vl:8b")
    assert (answer["model"], answer["ok"]) == ("embedded", True)
    (engine,) = (check for check in answer["checks"] if check["name"] == "engine")
    assert engine["text"] == f"Version {VERSION} at {embedded}."
    (model,) = (check for check in other["checks"] if check["name"] == "model")
    assert model["text"].startswith(
        "qwen3-vl:8b is not a model of the embedded engine: unset MODEL_NAME"
    )
    assert other["next"].startswith("Fix the failed checks (model)")


@pytest.mark.parametrize("remembered", ["", "embedded", "ollama"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"MODEL_NAME": ""},
        {"MODEL_NAME": "embedded"},
        {"MODEL_NAME": "qwen3-vl:8b"},
        {"ENGINE": "ollama"},
        {"ENGINE": "embedded", "MODEL_NAME": "qwen3-vl:8b"},
        {"OLLAMA_HOST": "127.0.0.1:9"},
        {"OLLAMA_HOST": "that of the embedded engine"},
    ],
    ids=str,
)
@pytest.mark.parametrize("where", ["environment", ".env"])
def test_run_server_takes_the_same(
    where: str,
    settings: dict[str, str],
    remembered: str,
    embedded: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It decides in shell, where there may be no Python yet with what `app` needs."""
    version = ""
    if "embedded engine" in settings.get("OLLAMA_HOST", ""):
        settings, version = {"OLLAMA_HOST": embedded}, VERSION
    elif not {"OLLAMA_HOST", "ENGINE"} & settings.keys() and remembered != "embedded":
        settings = {**settings, "OLLAMA_HOST": "127.0.0.1:9"}  # whatever runs at the usual port
    chose(tmp_path, remembered)
    shutil.copy(REPO / "run_server.sh", tmp_path)
    (tmp_path / "app").symlink_to(REPO / "app")
    (tmp_path / "ollama").write_text("#!/bin/sh\n")  # without one it takes what needs none
    (tmp_path / "ollama").chmod(0o755)
    kept = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    if where == ".env":
        lines = [f"{name}={value}\n" for name, value in settings.items()]
        (tmp_path / ".env").write_text("".join(lines))
    else:
        kept |= settings
    asked = [str(tmp_path / "run_server.sh"), "--engine"]
    says = subprocess.run(asked, env=kept, capture_output=True, text=True, check=True).stdout
    monkeypatch.chdir(tmp_path)
    for name in ("ENGINE", "MODEL_NAME", "OLLAMA_HOST"):
        monkeypatch.delenv(name, raising=False)
    for name, value in kept.items():
        monkeypatch.setenv(name, value)
    doctors = "embedded" if engine_choice.embedded_reason(Settings(), version) else "ollama"
    assert says == f"{doctors}\n"
