"""What a file that takes a decoder long does to others: `python -m benchmarks.bombs`.

One client sends each file of `tests/bombs`; meanwhile another sends a small picture, a
12-megapixel photo and a chat of text, one after another. For each file it tells how the server
answered and after how long, how much longer the other client's slowest requests took than
usual, and the most resident memory of all processes of the server together. With `--leave S` the
client closes the connection after so many seconds.
"""

import argparse
import re
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.wire.pictures import photo
from tests.bombs import pdf, raster
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import Server
from tests.pictures import base64_of, encoded, scene
from tests.processes import memory_mb, peak_mb

TOO_BUSY = "This machine is too busy to decode"  # with 503: the file is not at fault
TRIES = 5
SETTINGS = {"MODEL_NAME": "fake-vlm", "CACHE_MB": "0", "API_KEYS": "attacker,other"}


class Others:
    """The other client. `took` holds seconds by request; `failed` what was not answered well."""

    def __init__(self, url: str) -> None:
        headers = {"Authorization": "Bearer other"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False)
        self.took: dict[str, list[float]] = {"small": [], "photo": [], "chat": []}
        self.failed: list[str] = []
        text = {"messages": [{"role": "user", "content": "Hello"}]}
        small = {"image": base64_of(encoded(scene(64, 64), "PNG"))}
        self._requests: Mapping[str, tuple[str, Mapping[str, object]]] = {
            "small": ("/v1/describe", {"json": small}),
            "photo": ("/v1/describe", {"files": {"image": photo()}}),
            "chat": ("/v1/chat/completions", {"json": text}),
        }

    def ask(self) -> None:
        """Each request once; again where other programs leave the decoder too little of the CPU."""
        for name, (path, body) in self._requests.items():
            began = time.perf_counter()
            for _ in range(TRIES):
                response = self._http.post(path, **body)  # type: ignore[arg-type]
                if TOO_BUSY not in response.text:
                    break
            self.took[name].append(time.perf_counter() - began)
            if response.status_code != 200:
                self.failed.append(f"{name}: {response.status_code} {response.text[:200]}")

    def usual(self, times: int = 7) -> dict[str, float]:
        """Medians, in seconds, with nobody else there."""
        for _ in range(times):
            self.ask()
        return {name: statistics.median(took) for name, took in self.forget().items()}

    def forget(self) -> dict[str, list[float]]:
        """What was measured since the last time."""
        took, self.took = self.took, {name: [] for name in self.took}
        return took

    @contextmanager
    def asking(self) -> Iterator[None]:
        """They ask all the time, and once more after that at least once."""
        over = threading.Event()

        def run() -> None:
            self.ask()
            while not over.is_set():
                self.ask()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def send(http: httpx.Client, data: bytes, leave_s: float | None = None) -> str:
    """Status and code of the answer; or that the client left."""
    try:
        response = http.post("/v1/describe", files={"image": data}, timeout=leave_s or 120)
    except httpx.TimeoutException:
        return "left" if leave_s else "no answer"
    if response.status_code == 200:
        return "200"
    return f"{response.status_code} {response.json()['code']}"


def bombs() -> Iterator[tuple[str, bytes]]:
    """Every hostile file, with its name."""
    yield from pdf.bombs()
    yield from raster.bombs()


def main() -> None:
    """Send each file, and print what it did to another client."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leave", type=float, help="seconds after which the client leaves")
    parser.add_argument("--only", default="", help="a pattern of names")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, FakeOllama() as engine:
        log = Path(folder) / "server.log"
        with Server(log, OLLAMA_HOST=engine.url, **SETTINGS) as server:
            _run(server, options.leave, options.only)


def _run(server: Server, leave_s: float | None, only: str) -> None:
    others = Others(server.url)
    others.ask()
    usual = others.usual()
    before = memory_mb(server.process.pid)
    print("usual, ms:", {name: round(took * 1e3) for name, took in usual.items()})
    print("| file | kB | answer | s | others' worst, s over usual | peak, MB |")
    print("|---|--:|---|--:|--:|--:|")
    worst_s = worst_mb = 0.0
    headers = {"Authorization": "Bearer attacker"}
    with httpx.Client(base_url=server.url, headers=headers, trust_env=False) as http:
        for name, data in bombs():
            if not re.search(only, name):
                continue
            with peak_mb(server.process.pid) as samples, others.asking():
                began = time.perf_counter()
                told = send(http, data, leave_s)
                took = time.perf_counter() - began
            late = max(max(s) - usual[kind] for kind, s in others.forget().items() if s)
            worst_s, worst_mb = max(worst_s, late), max(worst_mb, *samples)
            print(
                f"| {name} | {len(data) / 1e3:.1f} | {told} | {took:.2f} | {late:.2f} "
                f"| {max(samples):.0f} |",
                flush=True,
            )
    time.sleep(12)  # idle workers end after 10 s
    after = memory_mb(server.process.pid)
    print(f"worst for others {worst_s:.2f} s over usual, peak {worst_mb:.0f} MB")
    print(f"memory before {before:.0f} MB, after {after:.0f} MB")
    print(f"others' requests that failed: {others.failed or 'none'}")


if __name__ == "__main__":
    main()
