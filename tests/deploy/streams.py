"""Streams through several replicas, and how each of them ends."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from tests.deploy.cluster import Cluster
from tests.polling import HANG_S, wait_until_async

KEY = "sesame-4711"
HEADERS = {"X-API-Key": KEY, "Cache-Control": "no-store"}


@dataclass
class Streamed:
    """One stream: the time of each piece; its end: `done`, `cut`, a status, or an error code."""

    at: list[float] = field(default_factory=list)
    ended: str = ""


async def stream(client: httpx.AsyncClient, into: list[Streamed], tokens: int) -> None:
    """Ask without an image, which the slow model would be slow to read."""
    one = Streamed()
    into.append(one)
    body = {"messages": [{"role": "user", "content": "1"}], "stream": True, "max_tokens": tokens}
    try:
        async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            if answer.status_code != 200:
                one.ended = f"{answer.status_code} {await answer.aread()!r}"
                return
            async for line in answer.aiter_lines():
                if line == "data: [DONE]":
                    one.ended = one.ended or "done"
                elif line.startswith("data: "):
                    one.at.append(time.monotonic())
                    error = json.loads(line.removeprefix("data: ")).get("error")
                    one.ended = error["code"] if error else one.ended
    except httpx.TransportError:
        pass
    one.ended = one.ended or "cut"


async def begin(
    client: httpx.AsyncClient, group: asyncio.TaskGroup, count: int, tokens: int
) -> list[Streamed]:
    """Start streams and wait until all have begun; each replica has loaded its model before."""
    streamed: list[Streamed] = []
    for _ in range(count):
        group.create_task(stream(client, streamed, tokens))
    await wait_until_async(lambda: sum(len(one.at) > 2 for one in streamed) == count)
    assert not any(one.ended for one in streamed), "they are over too soon to tell"
    return streamed


@asynccontextmanager
async def asking(
    client: httpx.AsyncClient, into: list[Streamed], count: int, tokens: int
) -> AsyncIterator[None]:
    """Run `count` users, who ask again and again until the block ends."""
    over = asyncio.Event()

    async def user() -> None:
        while not over.is_set():
            await stream(client, into, tokens)

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(user())
        yield
        over.set()


def users(url: str) -> httpx.AsyncClient:
    """A client that opens a connection for each request, as many users do."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(
        base_url=url, headers=HEADERS, limits=limits, trust_env=False, timeout=120
    )


async def islice_async(lines: AsyncIterator[str], count: int) -> AsyncIterator[str]:
    """The first `count` of them."""
    for _ in range(count):
        yield await anext(lines)


async def running(client: httpx.AsyncClient) -> int:
    status = (await client.get("/v1/status")).json()
    return int(status["slots"]["running"] + status["queue"]["waiting"])


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


async def warm(cluster: Cluster, into: list[Streamed] | None = None) -> None:
    """Wait until HAProxy uses both replicas, and both have loaded their model."""
    streamed = [] if into is None else into
    async with users(cluster.url) as client, asyncio.timeout(HANG_S):
        engines: set[str] = set()
        while len(engines) < 2:
            engines.add((await client.get("/v1/status")).json()["engine"]["url"])
        await asyncio.gather(*(stream(client, streamed, 3) for _ in range(6)))
