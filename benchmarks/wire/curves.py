"""How cost grows: with users, and with the size of a picture."""

import math
from typing import Any

from benchmarks.wire import measures
from benchmarks.wire.client import users
from benchmarks.wire.measures import SHORT, STREAM, WHOLE
from benchmarks.wire.pictures import photo, small
from benchmarks.wire.targets import Target
from tests.processes import cpu_s, memory_mb, peak_mb

USERS = (1, 4, 16, 64, 256)
MEGAPIXELS = (0.3, 1, 3, 12, 24, 48)

Curve = list[dict[str, Any]]


async def users_curve(targets: dict[str, Target]) -> Curve:
    """Each number of users, for each target that can bear it."""
    curve: Curve = []
    for count in USERS:
        for name in ("direct", "naive", "ours"):
            target = targets[name]
            whole = await users(target.port, target.request(small(), WHOLE), count, seconds=2)
            streamed = await users(target.port, target.request(small(), STREAM), count, seconds=2)
            first_ms, _ = measures.medians(streamed.took)
            curve.append(
                {
                    "users": count,
                    "target": name,
                    "requests_s": whole.requests_s,
                    "first_ms": first_ms,
                    "memory_mb": memory_mb(target.pid),
                }
            )
    return curve


async def megapixels_curve(target: Target) -> Curve:
    """A photo of each size, one after another."""
    curve: Curve = []
    for size in MEGAPIXELS:
        height = round(math.sqrt(size * 1e6 * 3 / 4))
        data = photo(round(height * 4 / 3), height)
        request = target.request(data, SHORT)
        await users(target.port, request, 1, each=1)
        began = cpu_s(target.pid)
        with peak_mb(target.pid) as samples:
            took = (await users(target.port, request, 1, each=5)).took
        curve.append(
            {
                "megapixels": size,
                "file_mb": len(data) / 1e6,
                "whole_ms": measures.medians(took)[1],
                "cpu_ms": (cpu_s(target.pid) - began) / len(took) * 1e3,
                "peak_mb": max(samples),
            }
        )
    return curve
