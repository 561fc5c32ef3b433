"""Threads, slots and memory of the running engine."""

import asyncio
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.embedded.conftest import Program
from tests.embedded.heavy_requests import (
    costly_photo,
    cpu_s,
    dense_page,
    unread_request,
    wait_for_cpu_time,
)
from tests.embedded.pictures import READ, blank, chat, example


def peak_memory(process: "subprocess.Popen[str]") -> int:
    """Peak memory of a process, in kB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
async def test_memory(program: Program, client: httpx.AsyncClient) -> None:
    large = blank(2400, 1800)
    await client.post("/api/chat", json=chat(READ, example("table.png"), large))
    assert peak_memory(program.process) < 700_000


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")
@pytest.mark.parametrize("stream", [True, False])
async def test_a_disconnect_frees_the_slot(
    program: Program, client: httpx.AsyncClient, stream: bool
) -> None:
    """Twelve long requests whose clients disconnect do not delay the next one."""
    long = chat(READ, *[example("receipt_ko.png")] * 6, stream=stream)
    requests = [asyncio.create_task(client.post("/api/chat", json=long)) for _ in range(12)]
    await asyncio.sleep(1)
    for task in requests:
        task.cancel()
    await asyncio.gather(*requests, return_exceptions=True)
    used_s = cpu_s(program.process)
    await client.post("/api/chat", json=chat(READ, example("photo.jpg")))
    # All of them would take more than a minute.
    assert cpu_s(program.process) - used_s < 15


def wait_until_idle(process: "subprocess.Popen[str]", timeout_s: float) -> float:
    """Waits until the CPU time no longer grows, and returns it."""
    deadline = time.monotonic() + timeout_s
    used, still_since = cpu_s(process), time.monotonic()
    while time.monotonic() - still_since < 1:
        assert time.monotonic() < deadline, f"it still works after {timeout_s} s"
        time.sleep(0.1)
        if (now := cpu_s(process)) > used + 0.02:
            used, still_since = now, time.monotonic()
    return used


LINES = 'Report the bbox_2d coordinates in JSON format like {"bbox_2d": [], "text_content": ""}.'


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")
@pytest.mark.parametrize("picture", [dense_page, costly_photo])
@pytest.mark.parametrize(
    ("task", "stream"),
    [
        (READ, True),
        (READ, False),
        ("Describe this image.", True),
        ("What is the total?", False),
        (LINES, False),
    ],
)
def test_a_disconnect_ends_the_job(
    program: Program, task: str, stream: bool, picture: Callable[[], bytes]
) -> None:
    """The client disconnects in the first second of a job of half a minute."""
    page, idle = dense_page(), wait_until_idle(program.process, 240)
    with unread_request(program.url, chat(task, *[picture()] * 2, *[page] * 3, stream=stream)):
        wait_for_cpu_time(program.process, idle + 1)
    left = cpu_s(program.process)
    # At most one native call: 0.5 to 0.8 s here, and 3.5 to 4.5 s where nothing stands between the
    # decoding of two photos.
    assert wait_until_idle(program.process, 240) - left < 3
    asked = chat("What is the total?", stream=False)
    assert httpx.post(f"{program.url}/api/chat", json=asked, timeout=120).status_code == 200


async def test_version_answers_during_a_reading(client: httpx.AsyncClient) -> None:
    reading = asyncio.create_task(client.post("/api/chat", json=chat(READ, example("table.png"))))
    await asyncio.sleep(0.2)
    await client.get("/api/version")
    assert not reading.done()
    await reading
