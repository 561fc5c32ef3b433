"""The tables of `docs/SPEED.md`: `python -m benchmarks.wire.page` writes them from `wire.json`.

A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`.
"""

import json
import math
import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.tables import table

REPO = Path(__file__).parents[2]
PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
PEERS = {  # target: what the page calls it
    "direct": "direct",
    "litellm": "LiteLLM",
    "naive": "naive",
    "ours": "this server",
}
ROWS = {  # measure: what it is
    "first_ms": "time to first token, 1 user, ms",
    "first_p99_ms": "the same: p99, ms",
    "requests_s": "requests/s, 64 users",
    "cpu_ms": "CPU per request, 64 users, ms",
    "tokens_s": "streamed tokens/s, 64 users",
    "paced_tokens_s": "64 streams, one token per 20 ms: tokens/s",
    "paced_first_ms": "the same: time to first token, ms",
    "big_ms": "photo of 12 megapixels, 4.8 MB: total time, ms",
    "big_cpu_ms": "the same: CPU, ms",
    "big_sent_mb": "the same: MB sent to the engine",
    "big_tokens": "the same: image tokens",
    "big_requests_s": "8 such photos at once: requests/s",
    "big_peak_mb": "the same: peak memory, MB",
    "lag_p99_ms": "the same: event loop lag, p99, ms",
    "idle_mb": "memory when idle, MB",
    "after_mb": "memory after the benchmark, MB",
    "leave_stream_ms": "a client leaves a stream: time until the engine is free, ms",
    "leave_whole_ms": "a client leaves a request without streaming: the same, ms",
}


Told = dict[str, Any]  # what `wire.json` says
Rounds = dict[str, dict[str, list[float | None]]]  # target: measure: a value a round; None: never


def number(value: float) -> str:
    """Three digits, or all before the point."""
    if math.isinf(value):
        return "never"
    return f"{value:,.3g}" if value < 100 else f"{value:,.0f}"


def peers(told: Told) -> str:
    """Medians over the rounds."""
    rounds: Rounds = told["rounds"]
    head = f"medians of {len(rounds['ours']['first_ms'])} rounds"
    return table(
        (head, *PEERS.values()),
        [
            (what, *(median(rounds[name].get(measure, [])) for name in PEERS))
            for measure, what in ROWS.items()
        ],
    )


def median(values: Sequence[float | None]) -> str:
    """The median of the rounds; a round that failed counts as infinite."""
    if not values:
        return ""
    return number(statistics.median(math.inf if one is None else one for one in values))


def users(told: Told) -> str:
    """Each number of users: this server, and the wrapper that most would write."""
    found = {(one["users"], one["target"]): one for one in told.get("users", [])}
    return table(
        (
            "users",
            "requests/s",
            "naive: requests/s",
            "time to first token, ms",
            "naive: time to first token, ms",
        ),
        [
            (
                f"{count}",
                *(
                    number(found[count, name][measure])
                    for measure in ("requests_s", "first_ms")
                    for name in ("ours", "naive")
                ),
            )
            for count in dict.fromkeys(count for count, _ in found)
        ],
    )


def megapixels(told: Told) -> str:
    """Photos of each size, one after another."""
    measures = ("megapixels", "file_mb", "whole_ms", "peak_mb")
    return table(
        ("megapixels", "file, MB", "total time, ms", "peak memory, MB"),
        [tuple(number(one[measure]) for measure in measures) for one in told.get("megapixels", [])],
    )


TABLES = {"peers": peers, "users": users, "megapixels": megapixels}


def filled(text: str, told: Told) -> str:
    """The page with its tables as they must be. KeyError: no table has that name."""
    return PLACE.sub(lambda at: at[1] + TABLES[at[2]](told) + at[3], text)


def write(folder: Path) -> None:
    """Fills the page that lies beside `wire.json`, where there is one."""
    page = folder / "SPEED.md"
    if page.exists():
        told = json.loads((folder / "wire.json").read_text())
        page.write_text(filled(page.read_text(), told))


if __name__ == "__main__":
    write(REPO / "docs")
