"""The server with a part of the outside world that hangs: `HANG=dns`, `HANG=driver`, or nothing.

A call that hangs in a thread cannot be ended; this is what a name server that does not answer, or a
GPU driver in trouble, looks like from here.

With `DECODE_WALL=8` a decoder job may take 8 times its CPU limit by the clock, in place of 4
times: a busy machine gives it little of the CPU.

The last resort of a shutdown, which ends the process from outside of the event loop, comes after a
minute: on a busy machine an orderly end may take longer than it would wait.
"""

import asyncio
import os
import sys
import time

import app.images.worker_pool
import app.main
import app.server.shutdown
import server
from app.images.fetch import Fetcher


async def look_up(_host: str, _port: int) -> list[str]:
    print("looking up", file=sys.stderr, flush=True)
    await asyncio.to_thread(time.sleep, 600)
    return []


def look(_url: str) -> None:
    print("asking the driver", file=sys.stderr, flush=True)
    time.sleep(600)


app.server.shutdown.HARD_EXIT_S = 60
app.images.worker_pool.WALL_CLOCK_FACTOR = int(
    os.environ.get("DECODE_WALL", app.images.worker_pool.WALL_CLOCK_FACTOR)
)
HANG = os.environ.get("HANG")
if HANG == "dns":
    defaults = Fetcher.__init__.__kwdefaults__
    assert defaults
    defaults["resolve"] = look_up
elif HANG == "driver":
    app.main.detect_gpus = look  # type: ignore[attr-defined,assignment]
server.main()
