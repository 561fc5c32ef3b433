"""Files that take a decoder long, or much memory, end with their own request and harm no other.

`python -m benchmarks.bombs` measures the same with the limits as they are by default.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from benchmarks.bombs import SETTINGS, TRIES, Others, bombs, send
from tests.bombs.pdf import deflated, images
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import Server
from tests.polling import wait_until
from tests.processes import cpu_s, family, memory_mb, peak_mb, runs

TIMEOUT_S = 1
MOST_MB = 1000
# These are decoded within the limits, though they look as if they would not be.
HARMLESS = {
    "PDF JBIG2 50000x50000",
    "PDF glyphs that write glyphs",
    "PDF 30 million letters",
    "PDF arrays 100,000 deep",
    "PDF function of 800 MB",
    "PDF objects of 800 MB",
    "PDF dashes of a thousandth",  # on a fast machine
    "JPEG 7000x7000 of nothing",
    "PNG of a text of 400 MB",
    "PNG of 200 texts of 1 MB",
    "TIFF of 30,000 tags of 2 GB",
    "TIFF fax of ones",
    "AVIF that says 7000x7000",  # on a fast machine
}
GRAY = b"/Width 4000/Height 4000/BitsPerComponent 8/ColorSpace/DeviceGray/Filter/FlateDecode"
LONG = images(GRAY, deflated(1, 16 * 10**6), 30_000)  # is drawn for minutes


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("bombs") / "server.log"
    with FakeOllama() as engine:
        limits = {"DECODE_TIMEOUT_S": str(TIMEOUT_S), "DECODE_WALL": "8"}
        settings = {**SETTINGS, **limits, "OLLAMA_HOST": engine.url}
        with Server(log, "-m tests.patched_server", **settings) as server:
            yield server


@pytest.fixture(scope="module")
def attacker(server: Server) -> Iterator[httpx.Client]:
    headers = {"Authorization": "Bearer attacker"}
    with httpx.Client(base_url=server.url, headers=headers, trust_env=False) as client:
        yield client


def idle(pid: int) -> bool:
    """Whether the server and its processes take next to no CPU time."""
    before = cpu_s(pid)
    time.sleep(0.5)
    return cpu_s(pid) - before < 0.03


def until_idle(pid: int) -> None:
    wait_until(lambda: idle(pid))


def test_each_is_refused_while_others_are_answered(server: Server, attacker: httpx.Client) -> None:
    pid = server.process.pid
    others = Others(server.url)
    others.usual(2)
    until_idle(pid)
    before = memory_mb(pid)
    told = {}
    with peak_mb(pid) as samples, others.asking():
        for name, data in bombs():
            told[name] = send(attacker, data)
    assert others.failed == []
    wrong = {
        name: answer
        for name, answer in told.items()
        if answer[:1] != "4" and answer[:3] not in ("503", "504") and name not in HARMLESS
    }
    assert wrong == {}
    # 503: on a busy machine, where a decoder gets too little of the CPU.
    assert not any(told[name][:1] == "5" and told[name][:3] != "503" for name in HARMLESS)
    assert sum(answer != "200" for answer in told.values()) >= 60
    assert max(samples) < MOST_MB
    # Workers that are not needed end, and memory goes back.
    wait_until(lambda: memory_mb(pid) <= 1.1 * before)


def test_each_ends_when_its_client_leaves(server: Server, attacker: httpx.Client) -> None:
    pid = server.process.pid
    others = Others(server.url)
    with others.asking():
        for name, data in bombs():
            if name.startswith("PDF"):  # the others are over sooner than a client can leave
                send(attacker, data, leave_s=0.2)
    assert others.failed == []
    until_idle(pid)


def test_many_of_one_client_do_not_keep_another_waiting(
    server: Server, attacker: httpx.Client
) -> None:
    """Eight at once, and another client's document, which takes the same kind of place."""
    told: list[str] = []
    threads = [threading.Thread(target=lambda: told.append(send(attacker, LONG))) for _ in range(8)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 10
    while idle(server.process.pid) and time.monotonic() < until:
        pass
    others = Others(server.url)
    others.ask()
    headers = {"Authorization": "Bearer other"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=120, trust_env=False) as client:
        letter = Path("examples/letter.pdf").read_bytes()
        assert "200" in (send(client, letter) for _ in range(TRIES))
    before = len(told)
    for thread in threads:
        thread.join()
    assert before < 8, "the others were over before"
    assert others.failed == []
    assert set(told) <= {"422 unreadable_image", "503 server_busy"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left_behind(tmp_path: Path, number: int) -> None:
    """Neither where the server is asked to end while one decodes, nor where it is killed."""
    with (
        FakeOllama() as engine,
        Server(tmp_path / "log", OLLAMA_HOST=engine.url, DRAIN_TIMEOUT_S="1", **SETTINGS) as server,
    ):
        headers = {"Authorization": "Bearer attacker"}
        with httpx.Client(base_url=server.url, headers=headers, trust_env=False) as client:
            pid = server.process.pid
            told: list[str] = []
            sending = threading.Thread(target=_send_quietly, args=(client, LONG, told))
            sending.start()
            wait_until(lambda: len(family(pid)) >= 3 and not idle(pid))
            all_of_it = family(pid)
            server.process.send_signal(number)
            code = server.process.wait(120)
            sending.join()
    assert code == (0 if number == signal.SIGTERM else -number)
    assert told == (["503 draining"] if number == signal.SIGTERM else [])
    wait_until(lambda: not any(map(runs, all_of_it)))


def _send_quietly(client: httpx.Client, data: bytes, told: list[str]) -> None:
    with suppress(httpx.TransportError):
        told.append(send(client, data))
