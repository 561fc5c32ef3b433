"""What Ray Serve in HAProxy mode adds to the first token: `python -m benchmarks.ray_serve`.

One picture is asked about again and again, one request at a time, in turns of `python server.py`
and `python -m deploy.ray` with two replicas, each in front of the engine of
`benchmarks.wire`. A connection is kept, as a client's library does, until the server says that it
closes it: HAProxy does so once when the fleet has just begun. The first run installs Ray into
`.cache`.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.wire.client import Connection, Request
from benchmarks.wire.engine import MODEL
from benchmarks.wire.pictures import small
from tests.background_server import BackgroundServer, answers
from tests.deploy.cluster import Cluster
from tests.inference_server import Server
from tests.ports import free_port

TOKENS = 20
BOUNDARY = b"----------------7d4a6d158c9"


def request() -> Request:
    """A streamed description of a 51 kB picture, whose answer has `TOKENS` tokens at once."""
    fields = {"stream": "true", "prompt": f"[[n={TOKENS}]]"}
    parts = [
        b'Content-Disposition: form-data; name="%b"\r\n\r\n%b' % (name.encode(), value.encode())
        for name, value in fields.items()
    ]
    parts.append(
        b'Content-Disposition: form-data; name="image"; filename="a.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n" + small()
    )
    body = b"".join(b"--%b\r\n%b\r\n" % (BOUNDARY, part) for part in parts)
    body += b"--%b--\r\n" % BOUNDARY
    head = (
        b"POST /v1/describe HTTP/1.1\r\nHost: localhost\r\nCache-Control: no-store\r\n"
        b"Content-Type: multipart/form-data; boundary=%b\r\nContent-Length: %d\r\n\r\n"
    )
    # `done` has the whole text once more.
    return Request(head % (BOUNDARY, len(body)) + body, TOKENS, 2, b"event: done")


async def firsts(port: int, one: Request, count: int) -> list[float]:
    """Milliseconds to the first token of each request."""
    connection = await Connection.to(port)
    took = []
    try:
        for _ in range(count):
            if connection.closing:
                connection.close()
                connection = await Connection.to(port)
            took.append((await connection.ask(one)).first * 1e3)
        return took
    finally:
        connection.close()


def main() -> None:
    """Measure uvicorn and Ray Serve in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--each", type=int, default=50, help="requests a round and server")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), asked.rounds, asked.each)


def measure(folder: Path, rounds: int, each: int) -> None:
    """Print the added time to the first token, in milliseconds."""
    command = "-m benchmarks.wire.engine {port}"
    settings = {"MODEL_NAME": MODEL, "NUM_CTX": "8192", "CACHE_MB": "0"}
    port = free_port()
    engine = BackgroundServer(
        [sys.executable, *command.format(port=port).split()],
        folder / "engine",
        ready=answers(f"http://127.0.0.1:{port}/api/version"),
        environment=os.environ,
    )
    with (
        engine,
        Server(folder / "server", OLLAMA_HOST=f"127.0.0.1:{port}", **settings) as plain,
        Cluster(
            folder / "ray",
            ENGINE_COMMAND=f"{sys.executable} {command}",
            MIN_REPLICAS="2",
            MAX_REPLICAS="2",
            **settings,
        ) as fleet,
    ):
        ports = {"uvicorn": plain.port, "Ray Serve": int(fleet.environment["PORT"])}
        one = request()
        took: dict[str, list[list[float]]] = {name: [] for name in ports}
        for number in range(rounds + 1):
            for name, to in ports.items():
                got = asyncio.run(firsts(to, one, each))
                if number:  # the first warms up
                    took[name].append(got)
    tell(took)


def tell(took: dict[str, list[list[float]]]) -> None:
    """Medians over all requests, and the range of the rounds' medians."""
    middle = {}
    for name, rows in took.items():
        every = sorted(value for row in rows for value in row)
        medians = [statistics.median(row) for row in rows]
        middle[name] = statistics.median(every)
        print(
            f"{name:10} first token {middle[name]:5.2f} ms in the middle, "
            f"p99 {every[int(len(every) * 0.99)]:5.2f}; rounds {min(medians):.2f} to "
            f"{max(medians):.2f} ({len(every)} requests)"
        )
    print(f"added: {middle['Ray Serve'] - middle['uvicorn']:.2f} ms (median)")


if __name__ == "__main__":
    main()
