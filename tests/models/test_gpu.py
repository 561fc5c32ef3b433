"""The search for GPUs, with a fake nvidia-smi on PATH and a fake NVML."""

import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from app.models import gpu

MIB = 1 << 20
TWO = """\
0, GPU-1111-aa, NVIDIA GeForce RTX 4090, 24564, 24000
1, GPU-2222-bb, NVIDIA H200, 143771, 143000
"""


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove NVML, and put only the fake nvidia-smi on PATH."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def nvidia_smi(folder: Path, script: str) -> None:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def saying(output: str) -> str:
    return "while read -r line; do echo \"$line\"; done <<'END'\n" + output + "END"


def test_two_gpus(tmp_path: Path) -> None:
    nvidia_smi(tmp_path, saying(TWO))
    gpus = gpu.detect_gpus()
    assert gpus.source == "nvidia-smi"
    assert [one.name for one in gpus.gpus] == ["NVIDIA GeForce RTX 4090", "NVIDIA H200"]
    assert gpus.total_bytes == (24_564 + 143_771) * MIB
    assert gpus.gpus[0].free_bytes == 24_000 * MIB


@pytest.mark.parametrize(
    ("hidden", "left"),
    [("1", [1]), ("1,0", [1, 0]), ("GPU-11", [0]), ("0,9,1", [0]), ("-1", []), ("", [])],
)
def test_hidden_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hidden: str, left: list[int]
) -> None:
    nvidia_smi(tmp_path, saying(TWO))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert [one.index for one in gpu.detect_gpus().gpus] == left


@pytest.mark.parametrize(
    "script",
    [
        "exit 9",
        "echo NVIDIA-SMI has failed because it could not communicate; exit 9",
        saying("0, GPU-1, Orin (nvgpu), [N/A], [N/A]\n"),
        saying("0, GPU-1, no numbers, many, some\n,,,,\n0\n²,a,b,²,²\n"),
        r"printf '\377\376\000,\n'",
        "",
    ],
)
def test_rubbish_is_no_gpu(tmp_path: Path, script: str) -> None:
    nvidia_smi(tmp_path, script)
    gpus = gpu.detect_gpus()
    assert (gpus.gpus, gpus.source) == ((), "none")
    assert gpus.reason == "nvidia-smi reports no GPU"


def test_a_good_line_among_bad_ones(tmp_path: Path) -> None:
    nvidia_smi(tmp_path, saying(f"Warning: x\n{TWO}\n2, GPU-3, c, [N/A], [N/A]\n"))
    assert len(gpu.detect_gpus().gpus) == 2


def test_it_does_not_wait_for_ever(tmp_path: Path) -> None:
    nvidia_smi(tmp_path, "exec /bin/sleep 30")
    since = time.monotonic()
    gpus = gpu.detect_gpus(timeout_s=0.3)
    assert time.monotonic() - since < 20
    assert gpus.reason.endswith(" does not answer")


def test_it_cannot_be_run(tmp_path: Path) -> None:
    (tmp_path / "nvidia-smi").write_bytes(b"\x7fELF but not really")
    (tmp_path / "nvidia-smi").chmod(0o755)
    assert gpu.detect_gpus().reason.startswith("nvidia-smi cannot be run: ")


def test_no_driver() -> None:
    assert gpu.detect_gpus().reason == "there is no NVIDIA driver on this machine"


def test_the_gpus_of_another_machine_are_not_ours(tmp_path: Path) -> None:
    nvidia_smi(tmp_path, saying(TWO))
    assert gpu.detect_gpus("http://gpu-box:11434").reason == "the engine is on another machine"
    assert len(gpu.detect_gpus("http://[::1]:11434").gpus) == 2


class FakeNvml(ModuleType):
    """NVML with a GPU that responds and one that has no memory of its own."""

    class NVMLError(Exception):
        pass

    def __init__(self, hangs_s: float = 0, broken: bool = False) -> None:
        super().__init__("pynvml")
        self.hangs_s, self.broken = hangs_s, broken

    def nvmlInit(self) -> None:
        time.sleep(self.hangs_s)
        if self.broken:
            raise self.NVMLError("library not found")

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.65.06"

    def nvmlShutdown(self) -> None:
        pass

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        if handle:
            raise self.NVMLError("not supported")
        return SimpleNamespace(total=24 << 30, free=23 << 30)

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return f"GPU-{handle}"

    def nvmlDeviceGetName(self, handle: int) -> str:
        return f"Made-up {handle}"


def test_nvml_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml())
    gpus = gpu.detect_gpus()
    assert (gpus.source, gpus.driver) == ("nvml", "580.65.06")
    assert gpus.gpus == (gpu.Gpu(0, "GPU-0", "Made-up 0", 24 << 30, 23 << 30),)


def test_without_nvmls_library_nvidia_smi_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(broken=True))
    nvidia_smi(tmp_path, saying(TWO))
    assert gpu.detect_gpus().source == "nvidia-smi"


def test_nvml_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(hangs_s=60))
    since = time.monotonic()
    assert gpu.detect_gpus(timeout_s=0.1).reason == "the NVIDIA driver does not answer"
    assert time.monotonic() - since < 20


def test_the_real_package_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a driver it finds nothing; with one it finds GPUs with memory."""
    monkeypatch.delitem(sys.modules, "pynvml")
    assert all(one.total_bytes > 0 for one in gpu.detect_gpus().gpus)
