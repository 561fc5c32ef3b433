"""The program: how it starts, ends, and says why it cannot start."""

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.embedded.address import Address, address
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


def test_end_in_the_middle_of_a_reading() -> None:
    program = Program()
    program.wait()
    url = f"{program.url}/api/chat"
    with httpx.stream("POST", url, json=chat(READ, example("receipt_ko.png")), timeout=30) as r:
        next(r.iter_lines())
        program.process.terminate()
        program.process.wait(timeout=15)
    assert program.process.returncode == 0
    program.end()


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
        "from app.embedded import ocr\n"
        "from tests.embedded.pictures import pixels\n"
        "found = list(ocr.read(pixels('receipt_ko.png'), ocr.load(2), threading.Event()))\n"
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
