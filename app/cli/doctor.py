"""`python -m app doctor`: is all well here, and which model fits with how much context."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.cli import checks
from app.cli.checks import Check
from app.models.catalog import BY_TAG, ENTRIES, GIB, Entry, described, find, resolve
from app.models.gpu import Gpu, Gpus, look
from app.models.plan import Plan, plan
from app.settings import Settings

SIGNS = {True: "OK", False: "FAIL", None: "-"}
STYLES = {True: "green", False: "bold red", None: "dim"}


@dataclass(frozen=True, slots=True)
class Report:
    """What is shown. chosen: the plan of the model that answers; None where there is no GPU to
    plan for, or the model's shape is not known."""

    model: str
    note: str
    gpus: Gpus
    checks: tuple[Check, ...]
    plans: tuple[Plan, ...]
    chosen: Plan | None

    @property
    def ok(self) -> bool:
        return all(check.ok is not False for check in self.checks)


def doctor(
    vram_gb: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=1e5, help="Plan for a GPU of so many GiB instead; asks no engine."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model to plan for; default: MODEL_NAME.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check GPU, engine, model and disk, and show what fits. Ends with 1 if something is wrong."""
    settings = _settings()
    name, note = resolve(model or settings.model_name)
    if vram_gb is None:
        report = _examine(settings, name, note)
    else:
        report = _simulate(settings, name, note, int(vram_gb * GIB))
    if as_json:
        typer.echo(json.dumps(_plain(report), indent=2))
    else:
        _show(report)
    raise typer.Exit(0 if report.ok else 1)


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        typer.echo(
            f"The setting {str(first['loc'][0]).upper()} is wrong: {first['msg']}.", err=True
        )
        raise typer.Exit(1) from None


def _examine(settings: Settings, name: str, note: str) -> Report:
    """This machine, and the engine at OLLAMA_HOST."""
    gpus = look(settings.ollama_host)
    engine = asyncio.run(checks.ask(settings.ollama_host, name))
    entry = find(name)
    info = (engine.shown or {}).get("model_info") or {}
    plans, chosen = _plans(gpus, settings, entry or described(name, engine.file_bytes, info))
    found = (
        checks.gpu_check(gpus, entry),
        checks.engine_check(engine, entry),
        checks.model_check(engine, name),
        checks.loaded_check(engine),
        checks.disk_check(engine, entry),
        checks.plan_check(chosen, settings.num_ctx),
    )
    return Report(name, note, gpus, found, plans, chosen)


def _simulate(settings: Settings, name: str, note: str, vram_bytes: int) -> Report:
    """A GPU that need not be there."""
    entry = find(name)
    if entry is None:
        known = ", ".join(BY_TAG)
        raise typer.BadParameter(f"{name} is not in the catalogue; it holds {known}")
    gpus = Gpus((Gpu(0, "", "simulated", vram_bytes, vram_bytes),), "simulation")
    plans, chosen = _plans(gpus, settings, entry)
    return Report(name, note, gpus, (checks.plan_check(chosen),), plans, chosen)


def _plans(
    gpus: Gpus, settings: Settings, entry: Entry | None
) -> tuple[tuple[Plan, ...], Plan | None]:
    """The plan of every model of the catalogue, and that of `entry`."""
    if not gpus.found:
        return (), None

    def planned(one: Entry) -> Plan:
        return plan(one, gpus.total_bytes, settings.num_parallel, gpus=len(gpus.found))

    return tuple(map(planned, ENTRIES)), planned(entry) if entry else None


def _plain(report: Report) -> dict[str, Any]:
    """As JSON; memory in GiB."""
    return {
        "ok": report.ok,
        "model": report.model,
        "note": report.note,
        "gpus": [
            {"name": g.name, "total_gib": g.total_bytes / GIB, "free_gib": g.free_bytes / GIB}
            for g in report.gpus.found
        ],
        "gpu_source": report.gpus.source,
        "checks": [{"name": c.name, "ok": c.ok, "text": c.text} for c in report.checks],
        "plan": report.chosen and _plain_plan(report.chosen),
        "plans": [_plain_plan(one) for one in report.plans],
    }


def _plain_plan(one: Plan) -> Mapping[str, Any]:
    return {
        "model": one.entry.tag,
        "fits": one.fits,
        "num_ctx": one.num_ctx,
        "slots": one.slots,
        "max_slots": one.max_slots,
        "cache_type": one.cache_type,
        "vram_gib": one.vram / 100,
        "needed_gib": one.needed / 100,
        "terms": [{"gib": term.gib, "label": term.label} for term in one.terms],
        "weights_estimated": one.entry.estimated,
        "advice": one.advice,
    }


def _show(report: Report) -> None:
    # No markup: an address such as [::1] is none. 80 columns and no colours where piped.
    console = Console(markup=False, highlight=False, emoji=False)
    if report.note:
        console.print(f"Note: {report.note}.")
    grid = Table.grid(padding=(0, 2))
    for check in report.checks:
        grid.add_row(Text(SIGNS[check.ok], STYLES[check.ok]), check.name, Text(check.text))
    console.print(grid)
    if report.plans:
        console.print(_table(report))
    if report.chosen:
        console.print("\n".join(report.chosen.lines))


def _table(report: Report) -> Table:
    """One line a model."""
    slots = report.plans[0].slots
    table = Table(
        title=f"\nOn {report.plans[0].vram / 100:.2f} GiB with {slots} slot{'s' * (slots > 1)}",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("model", no_wrap=True)
    for name in ("num_ctx", "cache", "weights", "needs"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for one in report.plans:
        table.add_row(
            one.entry.tag,
            str(one.num_ctx or "-"),
            one.cache_type if one.fits else "-",
            f"{'~' * one.entry.estimated}{one.terms[2].gib:.2f}",
            f"{one.needed / 100:.2f}",
            Text("fits", "green") if one.fits else Text(one.advice, "red"),
        )
    return table
