"""What `doctor` found, for people and for programs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from app.cli.checks import Check
from app.cli.terminal import out
from app.models.catalog import DEFAULT_MODEL, GIB
from app.models.gpu import Gpus
from app.models.plan import Plan

SIGNS = {True: "OK", False: "FAIL", None: "-"}
STYLES = {True: "green", False: "bold red", None: "dim"}


@dataclass(frozen=True, slots=True)
class Report:
    """What is shown. chosen: the plan of the model that answers; None where there is no GPU to
    plan for, or the model's shape is not known. embedded: the embedded engine answers."""

    model: str
    note: str
    gpus: Gpus
    checks: tuple[Check, ...]
    plans: tuple[Plan, ...]
    chosen: Plan | None
    simulated: bool = False
    embedded: bool = False

    @property
    def ok(self) -> bool:
        return all(check.ok is not False for check in self.checks)

    @property
    def next(self) -> str:
        """The one thing to do now."""
        print_error = {check.name for check in self.checks if check.ok is False}
        if self.simulated:
            return "" if print_error else "Such a machine would do: ./quick_start.sh there."
        if "engine" in print_error and self.embedded:
            return "ENGINE=embedded ./quick_start.sh installs what is missing."
        if "engine" in print_error:
            return (
                f"./quick_start.sh installs Ollama and {self.model}."
                if self.gpus.found
                else "ENGINE=embedded ./quick_start.sh reads text here at once, without a GPU. For "
                f"{self.model} run ./quick_start.sh on a machine with an NVIDIA GPU."
            )
        if "model" in print_error and not self.embedded:
            return f"python -m app pull {self.model}"
        if print_error:
            return f"Mend what FAIL says ({', '.join(sorted(print_error))}), and run this again."
        start = "./run_server.sh, where it does not run yet; then python -m app describe FILE"
        if self.embedded and not self.gpus.found:
            start += f". For {DEFAULT_MODEL} run ./quick_start.sh on a machine with an NVIDIA GPU."
        return start


def to_dict(report: Report) -> dict[str, Any]:
    """As JSON; memory in GiB."""
    return {
        "ok": report.ok,
        "model": report.model,
        "note": report.note,
        "simulated": report.simulated,
        "next": report.next,
        "gpus": [
            {"name": g.name, "total_gib": g.total_bytes / GIB, "free_gib": g.free_bytes / GIB}
            for g in report.gpus.found
        ],
        "gpu_source": report.gpus.source,
        "checks": [{"name": c.name, "ok": c.ok, "text": c.text} for c in report.checks],
        "plan": report.chosen and _plan_dict(report.chosen),
        "plans": [_plan_dict(one) for one in report.plans],
    }


def _plan_dict(one: Plan) -> Mapping[str, Any]:
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
    if report.simulated:
        out.print("Simulated: nothing of this machine was looked at, and no engine asked.")
    if report.note:
        out.print(f"Note: {report.note}.")
    grid = Table.grid(padding=(0, 2))
    for check in report.checks:
        grid.add_row(Text(SIGNS[check.ok], STYLES[check.ok]), check.name, Text(check.text))
    out.print(grid)
    if report.plans:
        out.print(_table(report))
    if report.chosen:
        out.print("\n".join(report.chosen.lines))
    if report.next:
        out.print(f"\nNext: {report.next}", style="bold")


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
