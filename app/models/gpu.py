"""Finds the NVIDIA GPUs that Ollama would use on this machine, and their memory.

The source is NVML (the `nvidia-ml-py` package, which calls the driver's library), else
`nvidia-smi`. With a faulty driver both can hang forever, so every call has a time limit. No
function raises.
"""

import os
import shutil
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from urllib.parse import urlsplit

TIMEOUT_S = 10.0  # a sleeping driver takes seconds per GPU to wake up
QUERY = ("--query-gpu=index,uuid,name,memory.total,memory.free", "--format=csv,noheader,nounits")
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU; memory in bytes."""

    index: int
    uuid: str
    name: str
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class GpuInventory:
    """The result of a search for GPUs.

    source: `nvml`, `nvidia-smi` or `none`.
    reason: why no GPU was found.
    driver: version of the driver; empty if unknown.
    """

    gpus: tuple[Gpu, ...] = ()
    source: str = "none"
    reason: str = ""
    driver: str = ""

    @property
    def total_bytes(self) -> int:
        """Memory of all GPUs: Ollama splits a model over GPUs if it does not fit on one."""
        return sum(gpu.total_bytes for gpu in self.gpus)


def is_local(engine_url: str) -> bool:
    """Return whether an engine's URL has a loopback host."""
    host = urlsplit(engine_url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def detect_gpus(
    engine_url: str = "http://127.0.0.1:11434", timeout_s: float = TIMEOUT_S
) -> GpuInventory:
    """Find the GPUs of the engine at `engine_url`.

    Takes about `timeout_s` seconds at most; do not call it on the event loop.
    """
    if not is_local(engine_url):
        return GpuInventory(reason="the engine is on another machine")
    answers: list[GpuInventory] = []
    # NVML is a library call that cannot be interrupted, so it runs in a thread.
    worker = threading.Thread(target=lambda: answers.append(_detect(timeout_s)), daemon=True)
    worker.start()
    worker.join(timeout_s + 0.5)
    return answers[0] if answers else GpuInventory(reason="the NVIDIA driver does not answer")


def _detect(timeout_s: float) -> GpuInventory:
    found, driver = _nvml()
    if found:
        return GpuInventory(
            visible_gpus(found), "nvml", "CUDA_VISIBLE_DEVICES hides every GPU", driver
        )
    found, reason = _nvidia_smi(timeout_s)
    if found:
        return GpuInventory(
            visible_gpus(found), "nvidia-smi", "CUDA_VISIBLE_DEVICES hides every GPU"
        )
    return GpuInventory(reason=reason)


def _nvml() -> tuple[tuple[Gpu, ...], str]:
    """Return the GPUs and the driver's version, by NVML.

    The result is empty if the package, the driver's library or the driver is missing.
    """
    try:
        nvml = import_module("pynvml")
    except ImportError:
        return (), ""
    found, driver = [], ""
    with suppress(nvml.NVMLError):
        nvml.nvmlInit()
        with suppress(nvml.NVMLError):
            driver = str(nvml.nvmlSystemGetDriverVersion())
        for index in range(nvml.nvmlDeviceGetCount()):
            with suppress(nvml.NVMLError):  # no memory of its own (Jetson), or lost from the bus
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                memory = nvml.nvmlDeviceGetMemoryInfo(handle)
                uuid = str(nvml.nvmlDeviceGetUUID(handle))
                name = str(nvml.nvmlDeviceGetName(handle))
                found.append(Gpu(index, uuid, name, int(memory.total), int(memory.free)))
        nvml.nvmlShutdown()
    return tuple(found), driver


def _nvidia_smi(timeout_s: float) -> tuple[tuple[Gpu, ...], str]:
    """Return the GPUs, and the reason if there are none, by `nvidia-smi`."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return (), "there is no NVIDIA driver on this machine"
    try:
        done = subprocess.run(  # noqa: S603 - found on PATH, fixed arguments
            [command, *QUERY],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return (), "nvidia-smi does not answer"
    except OSError as error:
        return (), f"nvidia-smi cannot be run: {error}"
    found = parse_nvidia_smi(done.stdout.decode(errors="replace"))
    return found, "" if found else "nvidia-smi reports no GPU"


def parse_nvidia_smi(output: str) -> tuple[Gpu, ...]:
    """Parse the lines of nvidia-smi's output that describe GPUs, with memory in MiB or `[N/A]`."""
    found = []
    for line in output.splitlines():
        parts = [part.strip() for part in line.split(",")]
        numbers = [parts[0], *parts[-2:]]
        if len(parts) != 5 or not all(n.isascii() and n.isdigit() for n in numbers):
            continue
        index, total, free = map(int, numbers)
        found.append(Gpu(index, parts[1], parts[2], total * MIB, free * MIB))
    return tuple(found)


def visible_gpus(found: tuple[Gpu, ...]) -> tuple[Gpu, ...]:
    """Return the GPUs that `CUDA_VISIBLE_DEVICES` selects; all if it is not set.

    The variable lists indices or prefixes of UUIDs. As in CUDA, the first unknown entry hides all
    that follow.
    """
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES")
    if wanted is None:
        return found
    kept: list[Gpu] = []
    for name in map(str.strip, wanted.split(",")):
        match = next((g for g in found if name and _matches(g, name)), None)
        if match is None:
            break
        kept.append(match)
    return tuple(kept)


def _matches(gpu: Gpu, name: str) -> bool:
    return name == str(gpu.index) or (name.startswith("GPU-") and gpu.uuid.startswith(name))
