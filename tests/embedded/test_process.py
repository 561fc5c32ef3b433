"""The program: how it starts, ends, and says why it cannot start."""

import asyncio
import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from app.embedded.api.ollama_host import Address, address
from tests.embedded.conftest import ROOT, Program
from tests.embedded.pictures import READ, blank, chat, example


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_start_and_end(number: signal.Signals) -> None:
    program = Program()
    assert program.wait() < 3  # under 1 s alone; other tests may hold the cores
    program.process.send_signal(number)
    printed, errors = program.process.communicate(timeout=15)
    assert program.process.returncode == 0
    assert printed == f"Listening on 127.0.0.1:{program.port} (model: embedded)\n"
    assert errors == ""


def costly_photo() -> bytes:
    """50 megapixels of noise in a JPEG: seconds in one native call of its decoder."""
    tile = np.random.default_rng(3).integers(0, 255, (250, 8000, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(np.tile(tile, (25, 1, 1))).save(file, "JPEG", quality=5)
    return file.getvalue()


def test_end_while_starting() -> None:
    """From the moment it takes signals on, at every point of its start."""
    for pause in (0.3, 0.6, 0.9, 1.2):
        program = Program()
        time.sleep(pause)
        program.process.terminate()
        begun = time.monotonic()
        program.process.communicate(timeout=15)
        assert program.process.returncode in (0, -signal.SIGTERM)  # the latter before Python runs
        assert time.monotonic() - begun < 3


@pytest.mark.parametrize("work", ["reading", "decoding", "many codes"])
def test_end_in_the_middle_of_a_work(work: str) -> None:
    """Within 2 s alone; another second is for the other tests."""
    program = Program()
    program.wait()
    url = f"{program.url}/api/chat"
    asked = {
        "reading": chat(READ, *[dense_page()] * 4),
        "decoding": chat(READ, *[costly_photo()] * 2),
        "many codes": chat("Describe this image.", *[dense_page()] * 4),
    }[work]
    with connection(url, asked):
        works(program.process, cpu_s(program.process) + 0.5)
        begun = time.monotonic()
        program.process.terminate()
        program.process.communicate(timeout=15)
    assert program.process.returncode == 0
    assert time.monotonic() - begun < 3


def test_port_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        program = Program(port=port)
        assert program.process.wait(timeout=15) == 1
        printed, errors = program.end()
    assert printed == ""
    assert (
        errors == f"Cannot listen on 127.0.0.1:{port}: Address already in use. Set OLLAMA_HOST.\n"
    )


def run(code: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_missing_packages() -> None:
    hide = "import sys; sys.modules['rapidocr'] = None\n"
    ended = run(
        f"{hide}from app.embedded import weights\n"
        "weights.importlib.util.find_spec = lambda name: None if name == 'rapidocr' else 1\n"
        "from app.embedded.__main__ import main; main()"
    )
    assert ended.returncode == 1
    assert ended.stderr == (
        "Not installed: rapidocr. Run: pip install -r requirements-embedded.txt\n"
    )


def test_no_network() -> None:
    """With every connection refused, a page is read all the same."""
    ended = run(
        "import socket, threading\n"
        "def refuse(*_args, **_kwargs): raise AssertionError('network')\n"
        "socket.socket.connect = socket.socket.connect_ex = refuse\n"
        "socket.getaddrinfo = socket.create_connection = refuse\n"
        "from app.embedded.ocr import models, reader\n"
        "from tests.embedded.pictures import pixels\n"
        "found = list(reader.read(pixels('receipt_ko.png'), models.load(2), threading.Event()))\n"
        "print(found[0].text)"
    )
    assert ended.stdout == "행복마트 서초점\n", ended.stderr


def test_damaged_weights_never_reach_rapidocr(tmp_path: Path) -> None:
    """It would download them anew."""
    models = tmp_path / "rapidocr" / "models"
    models.mkdir(parents=True)
    (models.parent / "__init__.py").write_text("raise AssertionError('imported')")
    (models / "PP-OCRv6_det_small.onnx").write_bytes(b"damaged")
    ended = run(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from app.embedded.__main__ import main; main()"
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("PP-OCRv6_det_small.onnx is damaged or of another version.")
    assert "Traceback" not in ended.stderr


def peak_memory(process: "subprocess.Popen[str]") -> int:
    """The most that it ever had, in kB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
async def test_memory(program: Program, client: httpx.AsyncClient) -> None:
    large = blank(2400, 1800)
    await client.post("/api/chat", json=chat(READ, example("table.png"), large))
    assert peak_memory(program.process) < 700_000


@pytest.mark.parametrize("stream", [True, False])
async def test_leaving_frees_the_slot(client: httpx.AsyncClient, stream: bool) -> None:
    """Twelve long readings that nobody waits for do not hold up the next one."""
    long = chat(READ, *[example("receipt_ko.png")] * 6, stream=stream)
    leaving = [asyncio.create_task(client.post("/api/chat", json=long)) for _ in range(12)]
    await asyncio.sleep(1)
    for task in leaving:
        task.cancel()
    await asyncio.gather(*leaving, return_exceptions=True)
    # All of them would take more than a minute.
    async with asyncio.timeout(8):
        await client.post("/api/chat", json=chat(READ, example("photo.jpg")))


@contextlib.contextmanager
def connection(url: str, body: dict[str, Any]) -> Iterator[None]:
    """A client that has sent its request and reads no answer; leaves at the end."""
    port = httpx.URL(url).port
    assert port is not None
    content = json.dumps(body).encode()
    head = f"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(head.encode() + content)
        yield


def cpu_s(process: "subprocess.Popen[str]") -> float:
    """The processor time that it has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def works(process: "subprocess.Popen[str]", until_s: float) -> None:
    """Wait until it has used so much processor time."""
    deadline = time.monotonic() + 30
    while cpu_s(process) < until_s:
        assert time.monotonic() < deadline, "it does not work"
        time.sleep(0.02)


def at_rest(process: "subprocess.Popen[str]", timeout_s: float) -> float:
    """The processor time when it no longer grows."""
    deadline = time.monotonic() + timeout_s
    used, still_since = cpu_s(process), time.monotonic()
    while time.monotonic() - still_since < 1:
        assert time.monotonic() < deadline, f"it still works after {timeout_s} s"
        time.sleep(0.1)
        if (now := cpu_s(process)) > used + 0.02:
            used, still_since = now, time.monotonic()
    return used


def dense_page() -> bytes:
    """Some 990 words, of which the engine reads 600."""
    image = Image.new("L", (1264, 1264), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(7)
    for top in range(0, 1264, 9):
        for left in range(0, 1264, 30):
            draw.text((left, top), "abc", fill="black", font=font)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


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
def test_an_abandoned_request_ends(
    program: Program, task: str, stream: bool, picture: Callable[[], bytes]
) -> None:
    """In the first second of a work of half a minute."""
    page, idle = dense_page(), at_rest(program.process, 60)
    with connection(program.url, chat(task, *[picture()] * 2, *[page] * 3, stream=stream)):
        works(program.process, idle + 1)
    left = cpu_s(program.process)
    # At most one native call: 0.5 to 0.8 s here, and 3.5 to 4.5 s where nothing stands between the
    # decoding of two photos.
    assert at_rest(program.process, 60) - left < 3
    asked = chat("What is the total?", stream=False)
    assert httpx.post(f"{program.url}/api/chat", json=asked, timeout=30).status_code == 200


async def test_version_answers_during_a_reading(client: httpx.AsyncClient) -> None:
    reading = asyncio.create_task(client.post("/api/chat", json=chat(READ, example("table.png"))))
    await asyncio.sleep(0.2)
    await client.get("/api/version")
    assert not reading.done()
    await reading


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("", ("127.0.0.1", 11434)),
        ("0.0.0.0", ("0.0.0.0", 11434)),
        ("127.0.0.1:5000", ("127.0.0.1", 5000)),
        (":5000", ("127.0.0.1", 5000)),
        ("http://localhost:5000/", ("localhost", 5000)),
        ("http://localhost", ("localhost", 80)),
        ("https://example", ("example", 443)),
        ("[::1]:5000", ("::1", 5000)),
        ("::1", ("::1", 11434)),
        ("host:port", ("host", 11434)),
        ('"127.0.0.1:5000"', ("127.0.0.1", 5000)),
    ],
)
def test_address(setting: str, expected: tuple[str, int]) -> None:
    assert address(setting) == Address(*expected)
