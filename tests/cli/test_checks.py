"""What `doctor` makes of what no machine here can show."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.cli import checks
from app.cli.checks import EngineState
from app.cli.report import Report
from app.models.catalog import BY_TAG, GIB
from app.models.gpu import Gpu, GpuInventory
from app.models.memory_plan import plan_memory

ENTRY = BY_TAG["qwen3-vl:32b"]
URL = "http://127.0.0.1:11434"


def engine(loaded: Mapping[str, Any] | None = None, **shown: Any) -> EngineState:
    return EngineState(URL, "0.33.0", shown={"capabilities": ["vision"], **shown}, loaded=loaded)


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
        check = checks.disk_check(EngineState(URL, "0.33.0"), ENTRY)
        assert check.ok is ok, check.text
    assert checks.disk_check(EngineState("http://box:11434"), ENTRY).ok is None
    assert checks.disk_check(engine(), ENTRY).ok is True


def test_gpus_are_all_named() -> None:
    one = Gpu(0, "GPU-1", "A", 24 * GIB, 23 * GIB)
    check = checks.gpu_check(GpuInventory((one, one), "nvml"), ENTRY)
    assert check.ok
    assert "48.00 GiB in total, across which Ollama splits" in check.text
    assert (
        checks.gpu_check(GpuInventory(reason="the engine is on another machine"), ENTRY).ok is None
    )
    assert checks.gpu_check(GpuInventory(reason="there is no NVIDIA driver"), ENTRY).ok is False
    assert checks.gpu_check(GpuInventory(reason="there is no NVIDIA driver"), None).ok is None


def test_a_context_that_was_set_too_large() -> None:
    card = plan_memory(ENTRY, 24 * GIB)
    assert checks.plan_check(card, 9216).ok
    over = checks.plan_check(card, 32_768)
    assert over.ok is False
    assert "only 9216 fit" in over.text


@pytest.mark.parametrize(
    ("driver", "ok"),
    [("580.65.06", True), ("550.54", True), ("535.183", None), ("470.1", False), ("", None)],
)
def test_the_driver(driver: str, ok: bool | None) -> None:
    one = Gpu(0, "GPU-1", "A", 24 * GIB, 23 * GIB)
    check = checks.driver_check(GpuInventory((one,), "nvml", driver=driver))
    assert check.ok is ok, check.text
    assert ok is not False or "update it" in check.text


def test_the_embedded_engine_without_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "find_spec", lambda _: None)
    check = checks.engine_check(EngineState(URL, embedded="set by ENGINE"), None)
    assert check.ok is False
    report = Report("embedded", "", GpuInventory(), (check,), (), None, embedded=True)
    assert report.next == "ENGINE=embedded ./quick_start.sh installs what is missing."
