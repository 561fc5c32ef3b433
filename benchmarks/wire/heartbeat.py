"""This server with a heartbeat, to see how late its loop is: `python -m benchmarks.wire.heartbeat`.

`GET /__lag` gives the milliseconds by which each beat was late since the last such request.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

import server
from app.main import create_app
from app.settings import Settings

BEAT_S = 0.005


def beating(settings: Settings) -> FastAPI:
    """The server with a route that reports how late its event loop was."""
    app = create_app(settings)
    late: list[float] = []
    inner = app.router.lifespan_context

    async def beat() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(BEAT_S)
            late.append((time.perf_counter() - began - BEAT_S) * 1e3)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        task = asyncio.create_task(beat())
        async with inner(app) as state:
            yield state
        task.cancel()

    async def lag() -> list[float]:
        told = late.copy()
        late.clear()
        return told

    app.router.lifespan_context = lifespan
    app.add_api_route("/__lag", lag)
    return app


if __name__ == "__main__":
    server.create_app = beating  # type: ignore[assignment,attr-defined]
    server.main()
