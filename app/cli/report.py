"""The report of `doctor`, as text and as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from app.cli.checks import Check
from app.cli.terminal import out
from app.models.catalog import DEFAULT_MODEL, GIB
from app.models.gpu import GpuInventory
from app.models.memory_plan import MemoryPlan

SIGNS = {True: "OK", False: "FAIL", None: "-"}
STYLES = {True: "green", False: "bold red", None: "dim"}


@dataclass(frozen=True, slots=True)
class Report:
    """The result of all checks.

    chosen: the plan of the model in use; None without a GPU, or if the model's size is unknown.
    embedded: the embedded engine is used.
    """

    model: str
    note: str
    gpus: GpuInventory
    checks: tuple[Check, ...]
    plans: tuple[MemoryPlan, ...]
    chosen: MemoryPlan | None
    simulated: bool = False
    embedded: bool = False

    @property
    def ok(self) -> bool:
        return all(check.ok is not False for check in self.checks)

    @property
    def next(self) -> str:
        """The next step for the user."""
        failed = {check.name for check in self.checks if check.ok is False}
        if self.simulated:
            return "" if failed else "Such a machine is sufficient: run ./quick_start.sh on it."
        if "engine" in failed and self.embedded:
            return "ENGINE=embedded ./quick_start.sh installs what is missing."
        if "engine" in failed:
            return (
                f"./quick_start.sh installs Ollama and {self.model}."
                if self.gpus.gpus
                else "ENGINE=embedded ./quick_start.sh reads text on this machine without a GPU. "
                f"For {self.model} run ./quick_start.sh on a machine with an NVIDIA GPU."
            )
        if "model" in failed and not self.embedded:
            return f"python -m app pull {self.model}"
        if failed:
            return f"Fix the failed checks ({', '.join(sorted(failed))}) and run this again."
        start = "./run_server.sh, if it is not running; then python -m app describe FILE"
        if self.embedded and not self.gpus.gpus:
            start += f". For {DEFAULT_MODEL} run ./quick_start.sh on a machine with an NVIDIA GPU."
        return start


def to_dict(report: Report) -> dict[str, Any]:
    """The report as JSON; memory in GiB."""
    return {
        "ok": report.ok,
        "model": report.model,
        "note": report.note,
        "simulated": report.simulated,
        "next": report.next,
        "gpus": [
            {"name": g.name, "total_gib": g.total_bytes / GIB, "free_gib": g.free_bytes / GIB}
            for g in report.gpus.gpus
        ],
        "gpu_source": report.gpus.source,
        "checks": [{"name": c.name, "ok": c.ok, "text": c.text} for c in report.checks],
        "plan": report.chosen and _plan_dict(report.chosen),
        "plans": [_plan_dict(one) for one in report.plans],
    }


def _plan_dict(one: MemoryPlan) -> Mapping[str, Any]:
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


def print_report(report: Report) -> None:
    """Print the report on the terminal."""
    if report.simulated:
        out.print("Simulated: this machine and its engine were not checked.")
    if report.note:
        out.print(f"Note: {report.note}.")
    grid = Table.grid(padding=(0, 2))
    for check in report.checks:
        grid.add_row(Text(SIGNS[check.ok], STYLES[check.ok]), check.name, Text(check.text))
    out.print(grid)
    if report.plans:
        out.print(_table(report))
    if report.chosen:
        out.print("\n".join(report.chosen.report_lines))
    if report.next:
        out.print(f"\nNext: {report.next}", style="bold")


def _table(report: Report) -> Table:
    """One row per model."""
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
