"""`python -m benchmarks.soak`: mixed load and a fault every 5 s; what was lost, and what grew.

A request is lost that got neither a whole answer nor a clean problem, and was not left by its
client; it hung where nothing came in `DEADLINE_S`. The server's memory and descriptors are taken
while it rests: after the warm-up, and at the end.
"""

import argparse
import asyncio
import contextlib
import itertools
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.load import Ended, Mix, ended
from tests.fake_ollama.script import Script, says
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import Server
from tests.integration.faults import (
    SCRIPTED,
    Scripted,
    freeze,
    freeze_runner,
    kill_frozen_runner,
    restart,
    thaw,
)
from tests.ollama_daemon.process import Daemon

FAULT_LASTS_S = 1.5
WARM_UP_S = 30.0
JUDGED_FROM_S = 120.0  # in a shorter run the server is not warm: its growth is told, not judged
MOST_GROWTH = 5.0  # percent
MOST_DESCRIPTORS = 8  # more than before: connections to the engine that are kept
REST_S = 3.0  # without load, before a reading
DEADLINE_S = 60.0
PAUSE_S = 0.2  # of a client that got no answer
SETTINGS = {"NUM_CTX": "8192", "REQUEST_TIMEOUT_S": "10", "STALL_TIMEOUT_S": "2"}
TALK: Script = says("One word after another, as a model says them. " * 3, pace_s=0.005)

Fault = tuple[str, Callable[[], None], Callable[[], None]]  # its name, what begins and ends it


@dataclass(frozen=True, slots=True)
class Reading:
    """Of the server's process at rest: resident memory in MB, open descriptors."""

    rss_mb: float
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> "Reading":
        status = Path(f"/proc/{pid}/status").read_text()
        rss = int(status.split("VmRSS:")[1].split()[0]) / 1024
        return cls(rss, len(list(Path(f"/proc/{pid}/fd").iterdir())))


@dataclass(slots=True)
class Load:
    """So many clients at once, in a thread, between `start` and `stop`. `why` has the reasons of
    the first that were lost or hung."""

    url: str
    mix: Mix
    clients: int
    outcomes: Counter[str] = field(default_factory=Counter)
    why: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._over.clear()
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(),))
        self._thread.start()

    def stop(self) -> None:
        """Returns when what runs has ended."""
        self._over.set()
        if self._thread:
            self._thread.join()

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=self.url, trust_env=False, timeout=2 * DEADLINE_S, limits=limits
        ) as client:
            await asyncio.gather(*(self._client(client) for _ in range(self.clients)))

    async def _client(self, client: httpx.AsyncClient) -> None:
        while not self._over.is_set():
            how = await ended(client, self.mix.ask(), DEADLINE_S)
            self._note(how)
            await asyncio.sleep(0.01 if how.how == "answer" else PAUSE_S)

    def _note(self, how: Ended) -> None:
        self.outcomes[how.how] += 1
        if how.why and len(self.why) < 10:
            self.why.append(f"{how.how}: {how.why}")


@contextlib.contextmanager
def fake_engine() -> Iterator[tuple[str, tuple[str, ...], list[Fault]]]:
    """Its URL, its models, and what can be done to it."""
    with FakeOllama() as fake_ollama:

        def healthy() -> None:
            fake_ollama.reset()
            fake_ollama.play(TALK)

        def fault(one: Scripted) -> Fault:
            def end() -> None:
                one.end(fake_ollama)
                healthy()

            return one.name, lambda: one.begin(fake_ollama), end

        healthy()
        yield fake_ollama.url, ("fake-vlm", "fake-think"), [fault(one) for one in SCRIPTED]


@contextlib.contextmanager
def daemon_engine() -> Iterator[tuple[str, tuple[str, ...], list[Fault]]]:
    """As `fake_engine`, for the real daemon with its tiny models."""
    with Daemon() as daemon:

        def runner(do: Callable[[Daemon], None]) -> Callable[[], None]:
            def done() -> None:
                with contextlib.suppress(RuntimeError):  # nothing is loaded just now
                    do(daemon)

            return done

        faults: list[Fault] = [
            ("runner killed", runner(Daemon.kill_runner), lambda: None),
            ("killed, started again", lambda: restart(daemon), lambda: None),
            ("frozen", lambda: freeze(daemon), lambda: thaw(daemon)),
            ("killed", daemon.kill, daemon.start),
            ("runner frozen", lambda: freeze_runner(daemon), runner(kill_frozen_runner)),
        ]
        yield daemon.url, ("tiny-vlm", "slow-vlm"), faults


ENGINES = {"fake": fake_engine, "daemon": daemon_engine}


def main() -> None:
    """Run the load with a fault every few seconds; exit with 1 where a bound is broken."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else ""
    )
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--engine", choices=ENGINES, default="fake")
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--every", type=float, default=5, help="seconds from fault to fault")
    parser.add_argument("--seed", type=int, default=5)
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        ENGINES[asked.engine]() as (url, models, faults),
        Server(
            Path(folder) / "server.log", OLLAMA_HOST=url, MODEL_NAME=models[0], **SETTINGS
        ) as server,
    ):
        load = Load(server.url, Mix(models, random.Random(asked.seed)), asked.clients)
        begun = itertools.cycle(faults)
        warm_up = min(WARM_UP_S, asked.seconds / 3)
        pid = server.process.pid
        started = time.monotonic()
        broken = _drive(load, begun, pid, started, warm_up, every=asked.every)
        first = Reading.of(pid)
        rest = asked.seconds - warm_up
        broken += _drive(load, begun, pid, started, rest, every=asked.every)
        last = Reading.of(pid)
        failed = _table(load, broken, first, last, judged=asked.seconds >= JUDGED_FROM_S)
        if failed:
            print(*load.why, *server.log().splitlines()[-20:], sep="\n")
    sys.exit(f"Failed: {', '.join(failed)}" if failed else 0)


def _drive(
    load: Load, faults: Iterator[Fault], pid: int, started: float, seconds: float, *, every: float
) -> int:
    """Load for so many seconds, then rest; how many faults there were. The faults are done here,
    in the main thread: a daemon ends with the thread that started it."""
    told = time.monotonic()
    until, count = told + seconds, 0
    load.start()
    try:
        while (now := time.monotonic()) < until:
            left = until - now
            if left > FAULT_LASTS_S:
                name, begin, end = next(faults)
                begin()
                time.sleep(FAULT_LASTS_S)
                end()
                count += 1
                left -= FAULT_LASTS_S
            time.sleep(min(left, every - FAULT_LASTS_S))
            if time.monotonic() > told + 9.9:
                told = time.monotonic()
                _progress(load, Reading.of(pid), told - started, name)
    finally:
        load.stop()
    time.sleep(min(REST_S, seconds / 4))
    return count


def _progress(load: Load, reading: Reading, seconds: float, fault: str) -> None:
    out = load.outcomes
    print(
        f"{seconds:5.0f} s  {out.total():6} requests, {out['answer']} answered, "
        f"{out['LOST']} lost, {out['hung']} hung  {reading.rss_mb:.0f} MB, "
        f"{reading.descriptors} descriptors  after: {fault}",
        flush=True,
    )


def _table(load: Load, faults: int, first: Reading, last: Reading, *, judged: bool) -> list[str]:
    """Print it; what is not as it must be."""
    out = load.outcomes
    print(f"\n| {out.total()} requests, {faults} faults | n |\n|---|---|")
    for how, count in sorted(out.items()):
        if how not in ("LOST", "hung"):
            print(f"| {how} | {count} |")
    print(f"| LOST | {out['LOST']} |\n| hung over {DEADLINE_S:g} s | {out['hung']} |")
    growth = 100 * (last.rss_mb / first.rss_mb - 1)
    note = "" if judged else f" (not judged under {JUDGED_FROM_S:g} s)"
    print("\n| the server at rest | warm | end | growth |\n|---|---|---|---|")
    print(f"| resident, MB | {first.rss_mb:.1f} | {last.rss_mb:.1f} | {growth:.1f} %{note} |")
    more = last.descriptors - first.descriptors
    print(f"| descriptors | {first.descriptors} | {last.descriptors} | {more} |")
    found = {
        "requests were lost": out["LOST"] > 0,
        "requests hung": out["hung"] > 0,
        "nothing was answered": out["answer"] == 0,
        f"memory grew by more than {MOST_GROWTH:g} %": judged and growth > MOST_GROWTH,
        "descriptors grew": judged and more > MOST_DESCRIPTORS,
    }
    return [what for what, so in found.items() if so]


if __name__ == "__main__":
    main()
