"""What the server costs beside others: `python -m benchmarks.wire`.

    --rounds 5      rounds, each with every target in another order
    --curves        1 to 256 users and 0.3 to 48 megapixels as well
    --out FOLDER    where `wire.json` and `wire.svg` go, and the tables of a `SPEED.md` that lies
                    there; default: docs/

All of it is over real sockets on one machine, which targets, engine and client share: read the
ratios, not the numbers.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import uvloop

from benchmarks.wire import curves, measures, page
from benchmarks.wire.client import Connection
from benchmarks.wire.targets import HERE, REPO, Target, python
from tests.processes import memory_mb

PEERS = tuple(page.PEERS)
Rounds = dict[str, dict[str, list[float]]]  # target: measure: a value a round


async def run(rounds: int, with_curves: bool) -> dict[str, object]:
    """All measurements of all targets, by name."""
    found: Rounds = {name: defaultdict(list) for name in PEERS}
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(Target("direct", 0))
        targets = {name: stack.enter_context(Target(name, engine.port)) for name in PEERS[1:]}
        targets["direct"] = engine
        stats = await Connection.to(engine.port)
        for name, target in targets.items():
            found[name]["idle_mb"].append(memory_mb(target.pid))
        for number in range(rounds):
            order = [PEERS[(at + number) % len(PEERS)] for at in range(len(PEERS))]
            for name in order:
                print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
                await _measure(targets[name], stats, found[name])
        await asyncio.sleep(5)
        for name, target in targets.items():
            found[name]["after_mb"].append(memory_mb(target.pid))
        told: dict[str, object] = {"machine": _machine(), "rounds": found}
        if with_curves:
            told["users"] = await curves.users_curve(targets)
            told["megapixels"] = await curves.megapixels_curve(targets["ours"])
        stats.close()
    return told


async def _measure(target: Target, engine: Connection, into: dict[str, list[float]]) -> None:
    values = {
        **await measures.first_token(target),
        **await measures.many(target),
        **await measures.paced(target),
        **await measures.big(target, engine),
    }
    if target.name != "direct":
        values |= await measures.leaving(target, engine)
    for name, value in values.items():
        into[name].append(value)


def _machine() -> dict[str, object]:
    load = os.getloadavg()[0]
    return {"cores": os.cpu_count(), "python": platform.python_version(), "load": round(load, 1)}


def ratios(found: Rounds) -> str:
    """Medians over the rounds of what each round says of the targets beside one another."""

    def of(row: str, one: str, other: str, above: str = "") -> str:
        pairs = zip(found[one][row], found[other][row], strict=True)
        base = found[above][row] if above else [0.0] * len(found[one][row])
        each = [(a - c) / (b - c) for (a, b), c in zip(pairs, base, strict=True)]
        return f"{statistics.median(each):.3g}"

    p99 = [
        (high - low) / (mid - low)
        for high, mid, low in zip(
            found["ours"]["first_p99_ms"],
            found["ours"]["first_ms"],
            found["direct"]["first_ms"],
            strict=True,
        )
    ]
    said = {
        "added time to first token, of LiteLLM's": of("first_ms", "ours", "litellm", "direct"),
        "the same, of the naive wrapper's": of("first_ms", "ours", "naive", "direct"),
        "its p99, of its median": f"{statistics.median(p99):.3g}",
        "requests/s at 64 users, times LiteLLM's": of("requests_s", "ours", "litellm"),
        "requests/s at 64 users, times the naive wrapper's": of("requests_s", "ours", "naive"),
        "streamed tokens/s, times LiteLLM's": of("tokens_s", "ours", "litellm"),
        "streamed tokens/s, times the naive wrapper's": of("tokens_s", "ours", "naive"),
        "64 paced streams: tokens/s, of direct's": of("paced_tokens_s", "ours", "direct"),
        "the same: time to first token, of naive's": of("paced_first_ms", "ours", "naive"),
        "photo: bytes to the engine, of naive's": of("big_sent_mb", "ours", "naive"),
        "photo: image tokens, of naive's": of("big_tokens", "ours", "naive"),
    }
    return "\n".join(
        ["| this server | |", "|---|---|", *(f"| {k} | {v} |" for k, v in said.items())]
    )


def main() -> None:
    """Install the peers, measure, and write `docs/SPEED.md` and what belongs to it."""
    parser = argparse.ArgumentParser(description="What the server costs beside others.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--curves", action="store_true")
    parser.add_argument("--out", type=Path, default=REPO / "docs")
    asked = parser.parse_args()
    for peer in ("litellm", "naive", "plot"):
        python(peer)
    told = uvloop.run(run(asked.rounds, asked.curves))
    found: Rounds = told["rounds"]  # type: ignore[assignment]
    asked.out.mkdir(parents=True, exist_ok=True)
    raw = asked.out / "wire.json"
    raw.write_text(json.dumps(told, indent=1).replace("Infinity", "null") + "\n")  # never
    page.write(asked.out)
    written = json.loads(raw.read_text())
    shown = page.TABLES.values() if asked.curves else [page.peers]
    print(*(table(written) for table in shown), ratios(found), sep="\n")
    drawn = asked.out / "wire.svg"
    subprocess.run(  # noqa: S603
        [str(python("plot")), str(HERE / "plot.py"), str(raw), str(drawn)], check=True
    )


if __name__ == "__main__":
    main()
