"""The checks of `doctor`: this machine, its engine and its model."""

import errno
import os
import re
import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from app.cli.engine_choice import EMBEDDED
from app.client.client import Client
from app.client.problem import ServerProblem
from app.engine.client import OllamaClient
from app.engine.registry import remote_host
from app.errors import ModelNotFound, Problem
from app.models.catalog import GIB, CatalogEntry, is_new_enough
from app.models.daemon import Daemon, known_bug
from app.models.gpu import GpuInventory, is_local
from app.models.memory_plan import MemoryPlan, placement_of

# docs.ollama.com/gpu: 531 in the releases from 0.12 on, 550 in those of late 2026.
LEAST_DRIVER, WANTED_DRIVER = 531, 550


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report. ok: None if it cannot or need not be checked now."""

    name: str
    ok: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class EngineState:
    """The state of the engine and of one model.

    problem: why it does not answer; empty if it does.
    shown: `/api/show` of the model; None if it is not installed.
    file_bytes: size of the model on disk.
    loaded: its entry in `/api/ps`; None if it is not loaded.
    embedded: why the embedded engine is used; empty if it is not.
    elsewhere: the machine to which the daemon sends requests for the model; empty if none.
    """

    url: str
    version: str = ""
    problem: str = ""
    shown: Mapping[str, Any] | None = None
    file_bytes: int = 0
    loaded: Mapping[str, Any] | None = None
    embedded: str = ""
    elsewhere: str = ""

    @property
    def family(self) -> str:
        return str(((self.shown or {}).get("details") or {}).get("family", ""))


async def inspect_engine(url: str, model: str) -> EngineState:
    """Ask the engine at `url`. Raises nothing; a failure is in `problem`."""
    ollama = OllamaClient(url)
    try:
        version = await ollama.version()
        try:
            shown = await ollama.show(model)
        except ModelNotFound:
            return EngineState(url, version)
        names = {model, f"{model}:latest"}
        tag = next((one for one in await ollama.tags() if one.get("name") in names), {})
        loaded = next((one for one in await ollama.ps() if one.get("name") in names), None)
        return EngineState(
            url,
            version,
            shown=shown,
            file_bytes=int(tag.get("size", 0)),
            loaded=loaded,
            elsewhere=remote_host(tag) or remote_host(shown),
        )
    except Problem as problem:
        return EngineState(url, problem=problem.detail)
    finally:
        await ollama.aclose()


async def inspect_embedded_engine(url: str, model: str, why: str) -> EngineState:
    """The embedded engine at `url`, or its state once it is started."""
    engine = await inspect_engine(url, model)
    if EMBEDDED in engine.version:
        return replace(engine, embedded=why)
    return EngineState(url, shown={"capabilities": ["vision"]}, embedded=why)


def gpu_check(gpus: GpuInventory, entry: CatalogEntry | None) -> Check:
    """Without a GPU this fails only for a model of the catalogue: others may run on the CPU."""
    if not gpus.gpus:
        bad = entry is not None and "another machine" not in gpus.reason
        text = f"None: {gpus.reason}."
        if bad:
            text += (
                " The model would run on the CPU, many times slower. Use a machine with an "
                "NVIDIA GPU, or ENGINE=embedded to read text."
            )
        return Check("gpu", False if bad else None, text)
    each = "; ".join(
        f"{gpu.name}, {gpu.total_bytes / GIB:.2f} GiB ({gpu.free_bytes / GIB:.2f} free)"
        for gpu in gpus.gpus
    )
    if len(gpus.gpus) > 1:
        each += (
            f"; {gpus.total_bytes / GIB:.2f} GiB in total, across which Ollama splits a model that "
            "does not fit on one GPU"
        )
    return Check("gpu", True, f"{each} (source: {gpus.source}).")


def driver_check(gpus: GpuInventory) -> Check:
    """Ollama silently uses the CPU if the driver is too old."""
    if not gpus.gpus:
        return Check("driver", None, "No GPU, so no driver is needed.")
    if not gpus.driver:
        return Check("driver", None, "The version is unknown.")
    major = re.match(r"\d+", gpus.driver)
    number = int(major[0]) if major else 0
    found = f"NVIDIA {gpus.driver}"
    if number < LEAST_DRIVER:
        text = f"{found}; Ollama needs {LEAST_DRIVER} or newer, else it uses the CPU: update it."
        return Check("driver", False, text)
    if number < WANTED_DRIVER:
        text = f"{found}; the newest Ollama needs {WANTED_DRIVER}: update it before Ollama."
        return Check("driver", None, text)
    return Check("driver", True, f"{found}.")


def engine_check(engine: EngineState, entry: CatalogEntry | None) -> Check:
    """Whether the engine answers, and is new enough."""
    if engine.problem:
        return Check("engine", False, engine.problem)
    if not engine.version:  # not started; rapidocr is installed for the embedded engine only
        found = f"The embedded engine, {engine.embedded}"
        if find_spec("rapidocr") is None:
            return Check("engine", False, f"{found}; its packages are not installed.")
        return Check("engine", None, f"{found}; ./run_server.sh starts it.")
    found = f"Version {engine.version} at {engine.url}"
    if entry and not is_new_enough(engine.version, entry.min_ollama):
        return Check(
            "engine",
            False,
            f"{found}; {entry.tag} needs {entry.min_ollama} or newer: update it from "
            "https://ollama.com/download.",
        )
    if known := known_bug(engine.version):
        return Check("engine", None, f"{found}. {known}")
    return Check("engine", True, f"{found}.")


def slots_checks(engine: EngineState, parallel: int) -> tuple[Check, ...]:
    """Whether the daemon runs as many requests at once as are configured, if more than one."""
    if parallel == 1 or not engine.family:
        return ()
    why = Daemon(engine.version, engine.family).single_slot_reason(parallel)
    return (Check("slots", None if why else True, why or f"{parallel} requests run at once."),)


def reading_checks(warnings: Sequence[str]) -> tuple[Check, ...]:
    """Warnings of the running server about how its engine reads images."""
    return (Check("pictures", False, " ".join(warnings)),) if warnings else ()


def model_check(engine: EngineState, model: str, allow_cloud: bool = False) -> Check:
    """Whether the model is installed and can see."""
    if engine.problem:
        return Check("model", None, f"{model}: unknown, the engine does not answer.")
    if engine.embedded and model != EMBEDDED:
        return Check(
            "model",
            False,
            f"{model} is not a model of the embedded engine: unset MODEL_NAME, or set "
            "ENGINE=ollama.",
        )
    if engine.shown is None:
        return Check(
            "model",
            False,
            f"{model} is not installed: download it with ./download_model.sh {model} or "
            f"`python -m app pull {model}`.",
        )
    if "vision" not in (engine.shown.get("capabilities") or ()):
        return Check("model", False, f"{model} is installed but cannot see: use a qwen3-vl model.")
    if engine.elsewhere and not allow_cloud:
        return Check(
            "model",
            False,
            f"{model} does not run on this machine: the daemon sends images to "
            f"{engine.elsewhere}. Choose another model, or set ALLOW_CLOUD_MODELS=true.",
        )
    return Check("model", True, f"{model} is installed and can see.")


def loaded_check(engine: EngineState) -> Check:
    """Whether the loaded model is in GPU memory."""
    if engine.loaded is None:
        return Check("loaded", None, "Not loaded now; run this again when it is.")
    placement = placement_of(engine.loaded)
    if placement.warning:
        return Check("loaded", False, placement.warning)
    if not placement.gpu_share:
        return Check("loaded", None, "Loaded; it is small enough to run on the CPU.")
    return Check("loaded", True, f"Loaded, {int(placement.gpu_share * 100)}% of it on the GPU.")


def disk_check(engine: EngineState, entry: CatalogEntry | None) -> Check:
    """Disk space for the download, if it is needed and comes to this machine."""
    if engine.shown is not None:
        return Check("disk", True, "Nothing to download.")
    if entry is None or not is_local(engine.url):
        return Check("disk", None, "Unknown: another machine's disk, or a model of unknown size.")
    folder = models_folder()
    free, needed = shutil.disk_usage(folder).free / 1e9, entry.download_bytes * 1.1 / 1e9
    text = f"{entry.tag} needs {needed:.0f} GB and {folder} has {free:.0f} GB free"
    if free >= needed:
        return Check("disk", True, f"{text}.")
    return Check("disk", False, f"{text}: free some space, or set OLLAMA_MODELS to a larger disk.")


def models_folder() -> Path:
    """The folder of the daemon's models, or its nearest existing parent: `OLLAMA_MODELS`, else
    the folder of the installed service, else that of the user."""
    service = Path("/usr/share/ollama/.ollama")
    home = service if service.is_dir() else Path.home() / ".ollama"
    folder = Path(os.environ.get("OLLAMA_MODELS") or home / "models")
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())


def plan_check(plan: MemoryPlan | None, wanted: int = 0) -> Check:
    """`wanted`: the NUM_CTX that is set; 0 for none."""
    if plan is None:
        return Check("plan", None, "Nothing to plan: no GPU, or a model of unknown size.")
    if not plan.fits:
        return Check("plan", False, f"{plan.entry.tag} does not fit: {plan.advice}.")
    if wanted > plan.num_ctx:
        return Check(
            "plan",
            False,
            f"NUM_CTX is {wanted}, but only {plan.num_ctx} fit: lower it, or set it to 0.",
        )
    return Check("plan", True, f"{plan.entry.tag} fits with num_ctx {wanted or plan.num_ctx}.")


async def port_check(host: str, port: int, url: str) -> tuple[Check, list[str]]:
    """Whether the server runs or could listen, and the warnings of a running one.

    `url` is the URL that clients of this machine use.
    """
    status: dict[str, Any] = {}
    async with Client(url) as client:
        try:
            status = await client.status()
            ours = "slots" in status
        except ServerProblem as problem:
            if problem.unreachable:
                return _check_free(host, port, url), []
            ours = problem.code == "unauthorized"
    if not ours:
        return _port_taken(port), []
    warnings = (status.get("model") or {}).get("warnings") or []
    return Check("port", True, f"This server answers at {url}."), list(warnings)


def _check_free(host: str, port: int, url: str) -> Check:
    """No server answers; check that one could listen."""
    try:
        _try_listen(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return _port_taken(port)
        return Check("port", False, f"Cannot listen on {host}:{port}: {error.strerror}.")
    return Check("port", True, f"Port {port} is free; no server answers at {url} yet.")


def _port_taken(port: int) -> Check:
    text = f"Port {port} is in use by another program: stop it, or set another PORT."
    return Check("port", False, text)


def _try_listen(host: str, port: int) -> None:
    """Listen as the server would. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host.strip("[]"), port))
        probe.listen(1)
