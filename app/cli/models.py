"""`models`: the installed models, and which models of the catalogue fit."""

import asyncio
import json
import sys
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from app.cli import server_options
from app.cli.terminal import out, print_error, strip_controls
from app.engine.client import OllamaClient
from app.errors import Problem
from app.models.catalog import ENTRIES, GIB
from app.models.gpu import Gpu, GpuInventory, detect_gpus
from app.models.memory_plan import plan_memory


def models(
    vram_gb: Annotated[
        float | None,
        typer.Option(min=0.1, max=1e5, help="Plan for a GPU with this much memory (GiB)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the installed models, and which models of the catalogue fit on the GPU."""
    settings = server_options.load_settings()
    installed, problem = asyncio.run(_installed(settings.ollama_host))
    gpus = detect_gpus(settings.ollama_host)
    if vram_gb is not None:
        size = int(vram_gb * GIB)
        gpus = GpuInventory((Gpu(0, "", "simulated", size, size),), "simulation")
    known = [_catalogue_entry(one, gpus, settings.num_parallel) for one in ENTRIES]
    if as_json or not sys.stdout.isatty():
        entries = {"installed": installed, "problem": problem or None, "catalogue": known}
        typer.echo(json.dumps(entries, ensure_ascii=False, indent=2))
    else:
        _print(installed, known, gpus)
    if problem:
        print_error(problem)
        raise typer.Exit(1)


async def _installed(url: str) -> tuple[list[dict[str, Any]], str]:
    """The installed models, or why they are unknown."""
    ollama = OllamaClient(url)
    try:
        loaded = {one.get("name") for one in await ollama.ps()}
        return [
            {
                "name": str(tag["name"]),
                "size_gb": round(int(tag.get("size", 0)) / 1e9, 1),
                "vision": "vision" in ((await ollama.show(tag["name"])).get("capabilities") or ()),
                "loaded": tag["name"] in loaded,
            }
            for tag in await ollama.tags()
        ], ""
    except Problem as problem:
        return [], problem.detail
    finally:
        await ollama.aclose()


def _catalogue_entry(entry: Any, gpus: GpuInventory, slots: int) -> dict[str, Any]:
    """fits: None without a GPU."""
    entries = {"name": entry.tag, "download_gb": entry.download_bytes / 1e9, "kind": entry.kind}
    if not gpus.gpus:
        return {**entries, "fits": None, "num_ctx": None, "advice": gpus.reason}
    made = plan_memory(entry, gpus.total_bytes, slots, gpus=len(gpus.gpus))
    return {**entries, "fits": made.fits, "num_ctx": made.num_ctx or None, "advice": made.advice}


def _print(
    installed: list[dict[str, Any]], known: list[dict[str, Any]], gpus: GpuInventory
) -> None:
    table = _table("Installed", "GB", "", "")
    for one in installed:
        table.add_row(
            strip_controls(one["name"]),
            f"{one['size_gb']:g}",
            Text("sees", "green") if one["vision"] else Text("cannot see", "red"),
            "loaded" if one["loaded"] else "",
        )
    if installed:
        out.print(table)
    size = f" ({gpus.total_bytes / GIB:.1f} GiB)" if gpus.gpus else ""
    table = _table("Catalogue", "GB", "num_ctx", f"fits on the GPU{size}")
    for one in known:
        fits = {
            True: Text("yes", "green"),
            False: Text(f"no: {one['advice']}", "red"),
            None: Text("-", "dim"),
        }[one["fits"]]
        table.add_row(one["name"], f"{one['download_gb']:g}", str(one["num_ctx"] or "-"), fits)
    out.print(table)
    if not gpus.gpus:
        out.print(
            f"No GPU: {gpus.reason}. --vram-gb 24 shows what would fit on one of 24 GiB.",
            style="dim",
        )
    out.print("Download a model with: python -m app pull NAME", style="dim")


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for name in others[:-1]:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(others[-1])
    return table
