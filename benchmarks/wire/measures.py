"""Single measures of one target, each some seconds long. Times in milliseconds, sizes in MB."""

import asyncio
import statistics
from collections.abc import Mapping

from benchmarks.wire.client import Connection, Took, users
from benchmarks.wire.pictures import photo, small
from benchmarks.wire.targets import KEY, Answered, Target
from tests.processes import cpu_s, peak_mb

WHOLE, STREAM = Answered(stream=False), Answered(stream=True)
PACED = Answered(stream=True, delay_ms=20)
SHORT = Answered(stream=False, tokens=4)
LONG = Answered(stream=True, tokens=5000, delay_ms=20)
LONG_WHOLE = Answered(stream=False, tokens=150, delay_ms=20)  # over soon where nobody ends it
USERS = 64
BIG_USERS = 8
LEAVES = 7

Values = Mapping[str, float]


def p(share: float, values: list[float]) -> float:
    """A percentile: `share` 0.5 is the median."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def first_token(target: Target) -> Values:
    """One user, one after another."""
    request = target.request(small(), STREAM)
    await users(target.port, request, 1, each=20)
    took = (await users(target.port, request, 1, each=120)).took
    first = [one.first * 1e3 for one in took]
    return {"first_ms": p(0.5, first), "first_p99_ms": p(0.99, first)}


async def many(target: Target) -> Values:
    """So many users, whole answers, then streamed ones."""
    await users(target.port, target.request(small(), WHOLE), USERS, each=1)
    before = cpu_s(target.pid)
    whole = await users(target.port, target.request(small(), WHOLE), USERS, seconds=2.5)
    cpu_ms = (cpu_s(target.pid) - before) / len(whole.took) * 1e3
    streamed = await users(target.port, target.request(small(), STREAM), USERS, seconds=2.5)
    return {
        "requests_s": whole.requests_s,
        "cpu_ms": cpu_ms,
        "tokens_s": streamed.tokens_s,
    }


async def paced(target: Target) -> Values:
    """So many streams of a token each 20 ms, as a fast model gives them."""
    load = await users(target.port, target.request(small(), PACED), USERS, each=2)
    first = [one.first * 1e3 for one in load.took]
    return {"paced_tokens_s": load.tokens_s, "paced_first_ms": p(0.5, first)}


async def big(target: Target, engine: Connection) -> Values:
    """A phone's photo: alone, and several at once."""
    request = target.request(photo(), SHORT)
    await users(target.port, request, 1, each=1)
    before, cpu = await engine.get("/__stats"), cpu_s(target.pid)
    alone = await users(target.port, request, 1, each=3)
    after, cpu = await engine.get("/__stats"), cpu_s(target.pid) - cpu
    chats = after["chats"] - before["chats"]
    own = target.name == "ours"
    if own:
        await _lag(target)
    with peak_mb(target.pid) as samples:
        together = await users(target.port, request, BIG_USERS, each=3)
    values = {
        "big_ms": statistics.median(one.whole * 1e3 for one in alone.took),
        "big_cpu_ms": cpu / 3 * 1e3,
        "big_sent_mb": (after["image_bytes"] - before["image_bytes"]) / chats / 1e6,
        "big_tokens": (after["image_tokens"] - before["image_tokens"]) / chats,
        "big_requests_s": together.requests_s,
        "big_peak_mb": max(samples),
    }
    return values | ({"lag_p99_ms": p(0.99, await _lag(target))} if own else {})


async def _lag(target: Target) -> list[float]:
    connection = await Connection.to(target.port)
    late: list[float] = await connection.get("/__lag", KEY)
    connection.close()
    return late


async def leaving(target: Target, engine: Connection) -> Values:
    """From the moment a client leaves to the engine's knowing; infinite where it never does."""
    told = {}
    for name, how, after in (("stream", LONG, None), ("whole", LONG_WHOLE, 0.1)):
        took = []
        for _ in range(LEAVES):
            before = (await engine.get("/__stats"))["aborts"]
            connection = await Connection.to(target.port)
            left = await connection.leave(target.request(small(), how), after)
            took.append(await _abort(engine, before, left))
        told[f"leave_{name}_ms"] = statistics.median(took)
    return told


async def _abort(engine: Connection, before: int, left: float) -> float:
    for _ in range(40):
        stats = await engine.get("/__stats")
        if stats["aborts"] > before:
            return float(stats["aborted"] - left) * 1e3
        await asyncio.sleep(0.05)
    return float("inf")


def medians(took: tuple[Took, ...]) -> tuple[float, float]:
    """Of the first token and of the whole, in milliseconds."""
    first, whole = zip(*((one.first * 1e3, one.whole * 1e3) for one in took), strict=True)
    return statistics.median(first), statistics.median(whole)
