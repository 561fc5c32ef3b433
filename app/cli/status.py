"""`status`: the state of a running server, updated until Ctrl-C."""

import asyncio
import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from app.cli.server_options import ApiKey, Server, server_and_key
from app.cli.terminal import error_message, out, print_error, run_command, strip_controls
from app.client.client import Client
from app.client.problem import ServerProblem

PAUSE_S = 1.0


def status(
    once: Annotated[
        bool, typer.Option("--once", help="Print once and exit; the default when piped.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON once.")] = False,
    server: Server = "",
    api_key: ApiKey = "",
) -> None:
    """Show engine, model, memory, slots and queue of a running server, until Ctrl-C."""
    url, key = server_and_key(server, api_key)
    to_json = as_json or not sys.stdout.isatty()
    run_command(_once(url, key, to_json) if once or to_json else _live(url, key))


async def _once(url: str, key: str, to_json: bool) -> int:
    async with Client(url, key) as client:
        try:
            status = await client.status()
        except ServerProblem as problem:
            print_error(error_message(problem))
            return 1
    if to_json:
        typer.echo(json.dumps(status, ensure_ascii=False))
    else:
        out.print(_table(url, status))
    return int(status.get("problem") is not None)


async def _live(url: str, key: str) -> int:
    """Update the table every second, also while the server does not answer."""
    async with Client(url, key) as client:
        with Live(console=out, auto_refresh=False, screen=False) as live:
            while True:
                shown: Any
                try:
                    shown = _table(url, await client.status())
                except ServerProblem as problem:
                    shown = Text(error_message(problem), "red")
                    if problem.status == 401:
                        live.update(shown, refresh=True)
                        return 1
                live.update(Group(shown, Text("Press Ctrl-C to stop.", "dim")), refresh=True)
                await asyncio.sleep(PAUSE_S)


def _table(url: str, status: dict[str, Any]) -> Table:
    """One row per value; a dash if the server does not report it."""
    engine, model = status.get("engine") or {}, status.get("model") or {}
    slots, queue = status.get("slots") or {}, status.get("queue") or {}
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_row("server", url)
    table.add_row("engine", f"{engine.get('version') or '-'} at {engine.get('url', '-')}")
    if problem := status.get("problem"):
        table.add_row(
            "problem", Text(strip_controls(f"{problem['detail']} [{problem['code']}]"), "red")
        )
    if model:
        table.add_row("model", f"{model['name']}, {', '.join(model['capabilities'])}")
        table.add_row("context", f"{model['num_ctx']:,} tokens per slot")
        table.add_row("loaded", _loaded(model))
        if model.get("warning"):
            table.add_row("", Text(model["warning"], "yellow"))
    table.add_row("running", _gauge(slots.get("running", 0), slots.get("total", 0)))
    table.add_row("waiting", _gauge(queue.get("waiting", 0), queue.get("limit", 0)))
    return table


def _loaded(model: dict[str, Any]) -> str:
    if not model.get("loaded"):
        return "no: the next request loads it"
    share = model.get("vram_ratio")
    return "yes" if not share else f"yes, {share:.0%} of it on the GPU"


def _gauge(now: int, most: int) -> Text:
    """`2 of 4`, with a bar of at most 32 cells."""
    places = min(most, 32)
    full = round(places * now / most) if most else 0
    style = "red" if most and now >= most else "green"
    return Text.assemble(
        (f"{now} of {most}".ljust(10), ""), ("█" * full, style), ("░" * (places - full), "dim")
    )
