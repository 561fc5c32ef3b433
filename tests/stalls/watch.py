"""A client of `/health` in a process of its own: python -m tests.stalls.watch PORT PID

For each line of its input it prints what was worst since the last one (see `Seen`), as JSON.
"""

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.inference_server import REPO, Server

EVERY_S = 0.003


@dataclass(slots=True)
class Seen:
    """`wait_s`: the longest that `/health` took. `stall_s`: the longest of it that the server
    computed meanwhile; where others use the machine, it may be waited for longer. `rss` is resident
    bytes now, `peak` the most since. `probes`: how often it was asked."""

    wait_s: float = 0.0
    stall_s: float = 0.0
    rss: int = 0
    peak: int = 0
    probes: int = 0


def cpu_s(pid: int) -> float:
    """Of all threads of a process."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except FileNotFoundError:
            continue  # it has ended
    return total / 1e9


def memory(pid: int, field: str) -> int:
    """Bytes: `VmRSS`, or `VmHWM`, its most since `forget`."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{field}:")[2].split(None, 1)[0]) * 1024


def forget(pid: int) -> None:
    """Have `VmHWM` begin anew (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


class Watcher:
    """The process, asked from the tests."""

    def __init__(self, server: Server) -> None:
        command = [sys.executable, "-m", "tests.stalls.watch"]
        self._process = subprocess.Popen(
            [*command, str(server.port), str(server.process.pid)],
            cwd=REPO,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.seen()

    def seen(self) -> Seen:
        """Since it was asked last."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Seen(**json.loads(self._process.stdout.readline()))

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def watching(server: Server) -> Iterator[Watcher]:
    watcher = Watcher(server)
    try:
        yield watcher
    finally:
        watcher.stop()


def listen(asked: threading.Event) -> None:
    for _ in sys.stdin:
        asked.set()


def main(port: int, pid: int) -> None:
    asked = threading.Event()
    threading.Thread(target=listen, args=(asked,), daemon=True).start()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    seen = Seen()
    while True:
        before, started = cpu_s(pid), time.monotonic()
        connection.request("GET", "/health")
        connection.getresponse().read()
        waited = time.monotonic() - started
        seen.wait_s = max(seen.wait_s, waited)
        seen.stall_s = max(seen.stall_s, min(waited, cpu_s(pid) - before))
        seen.probes += 1
        if asked.is_set():
            asked.clear()
            seen.rss, seen.peak = memory(pid, "VmRSS"), memory(pid, "VmHWM")
            forget(pid)
            print(json.dumps(asdict(seen)), flush=True)
            seen = Seen()
        time.sleep(EVERY_S)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
