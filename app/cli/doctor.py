"""`doctor`: check this machine, and which model fits with how much context."""

import asyncio
import json
from dataclasses import replace
from typing import Annotated

import typer

from app.cli import checks, engine_choice, server_options
from app.cli.checks import Check
from app.cli.report import Report, print_report, to_dict
from app.models.catalog import (
    BY_TAG,
    ENTRIES,
    GIB,
    CatalogEntry,
    entry_from_model_info,
    find_entry,
    resolve,
)
from app.models.gpu import Gpu, GpuInventory, detect_gpus
from app.models.memory_plan import MemoryPlan, plan_memory
from app.settings import Settings


def doctor(
    vram_gb: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            max=1e5,
            help="Simulate a machine with this much GPU memory (GiB) instead of checking this one.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model to plan for; default: MODEL_NAME.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check GPU, driver, engine, model, memory, disk and port, and which models fit.

    Exits with 1 if a check fails; the last line says what to do next.
    """
    settings = server_options.load_settings()
    name, note = resolve(model or settings.model_name)
    if vram_gb is None:
        report = _examine(settings, name, note, asked=model is not None)
    else:
        report = _simulate(settings, name, note, int(vram_gb * GIB))
    if as_json:
        typer.echo(json.dumps(to_dict(report), indent=2))
    else:
        print_report(report)
    raise typer.Exit(0 if report.ok else 1)


def _examine(settings: Settings, name: str, note: str, *, asked: bool) -> Report:
    """Check this machine and its engine: the one at OLLAMA_HOST, or the embedded engine if that is
    chosen and --model is not given."""
    gpus = detect_gpus(settings.ollama_host)
    engine = asyncio.run(checks.inspect_engine(settings.ollama_host, name))
    embedded = "" if asked else engine_choice.embedded_reason(settings, engine.version)
    if embedded:
        name, note = engine_choice.embedded_model(settings), ""
        engine = asyncio.run(checks.inspect_embedded_engine(settings.ollama_host, name, embedded))
    entry = None if embedded else find_entry(name)
    info = (engine.shown or {}).get("model_info") or {}
    plans, chosen = _plans(
        gpus, settings, entry or entry_from_model_info(name, engine.file_bytes, info)
    )
    url = server_options.local_url(settings)
    port, warnings = asyncio.run(checks.port_check(settings.host, settings.port, url))
    found = _checks(gpus, engine, name, chosen, settings)
    found = (*found, *checks.reading_checks(warnings), port)
    return Report(name, note, gpus, found, plans, chosen, embedded=bool(embedded))


def _simulate(settings: Settings, name: str, note: str, vram_bytes: int) -> Report:
    """Check an imaginary machine with this GPU memory, on which all else is in order."""
    entry = find_entry(name)
    if entry is None:
        known = ", ".join(BY_TAG)
        raise typer.BadParameter(f"{name} is not in the catalogue; it holds {known}")
    card = Gpu(0, "", "a GPU", vram_bytes, vram_bytes)
    gpus = GpuInventory((card,), "simulation", driver=f"{checks.WANTED_DRIVER}.0")
    plans, chosen = _plans(gpus, settings, entry)
    fits = chosen is not None and chosen.fits
    loaded = {"name": name, "size": entry.weights_bytes, "size_vram": entry.weights_bytes}
    engine = checks.EngineState(
        settings.ollama_host,
        entry.min_ollama,
        shown={"capabilities": ["vision"], "details": {"family": entry.family}},
        loaded=loaded if fits else None,
    )
    found = _checks(gpus, engine, name, chosen, settings)
    port = Check("port", True, f"Port {settings.port} is free.")
    simulated_checks = tuple(replace(one, text=f"Simulated: {one.text}") for one in (*found, port))
    return Report(name, note, gpus, simulated_checks, plans, chosen, simulated=True)


def _checks(
    gpus: GpuInventory,
    engine: checks.EngineState,
    name: str,
    chosen: MemoryPlan | None,
    settings: Settings,
) -> tuple[Check, ...]:
    entry = None if engine.embedded else find_entry(name)
    return (
        checks.gpu_check(gpus, entry),
        checks.driver_check(gpus),
        checks.engine_check(engine, entry),
        checks.model_check(engine, name, settings.allow_cloud_models),
        *checks.slots_checks(engine, settings.num_parallel),
        checks.loaded_check(engine),
        checks.plan_check(chosen, settings.num_ctx),
        checks.disk_check(engine, entry),
    )


def _plans(
    gpus: GpuInventory, settings: Settings, entry: CatalogEntry | None
) -> tuple[tuple[MemoryPlan, ...], MemoryPlan | None]:
    """The plans of all models of the catalogue, and the plan of `entry`."""
    if not gpus.gpus:
        return (), None

    def planned(one: CatalogEntry) -> MemoryPlan:
        return plan_memory(one, gpus.total_bytes, settings.num_parallel, gpus=len(gpus.gpus))

    return tuple(map(planned, ENTRIES)), planned(entry) if entry else None
