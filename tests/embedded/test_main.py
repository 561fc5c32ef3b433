"""Start, exit and error messages of the program."""

import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.embedded.conftest import ROOT, Program
from tests.embedded.heavy_requests import (
    costly_photo,
    cpu_s,
    dense_page,
    unread_request,
    wait_for_cpu_time,
)
from tests.embedded.pictures import READ, chat


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_start_and_end(number: signal.Signals) -> None:
    program = Program()
    program.wait()
    program.process.send_signal(number)
    printed, errors = program.process.communicate(timeout=60)
    assert program.process.returncode == 0
    assert printed == f"Listening on 127.0.0.1:{program.port} (model: embedded)\n"
    assert errors == ""


def test_end_while_starting() -> None:
    """At several moments of the start."""
    for pause in (0.3, 0.6, 0.9, 1.2):
        program = Program()
        time.sleep(pause)
        program.process.terminate()
        program.process.communicate(timeout=60)
        assert program.process.returncode in (0, -signal.SIGTERM)  # the latter before Python runs


def children_cpu_s() -> float:
    """CPU time of all child processes that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")
@pytest.mark.parametrize("job", ["reading", "decoding", "describing"])
def test_end_in_the_middle_of_a_job(job: str) -> None:
    """The forced exit is 1.5 s after the signal. CPU time does not depend on other processes."""
    program = Program()
    program.wait()
    url = f"{program.url}/api/chat"
    body = {
        "reading": chat(READ, *[dense_page()] * 4),
        "decoding": chat(READ, *[costly_photo()] * 2),
        "describing": chat("Describe this image.", *[dense_page()] * 4),
    }[job]
    earlier_s = children_cpu_s()
    with unread_request(url, body):
        wait_for_cpu_time(program.process, cpu_s(program.process) + 0.5)
        used_s = cpu_s(program.process)
        program.process.terminate()
        program.process.communicate(timeout=60)
    assert program.process.returncode == 0
    # At most 1.5 s on each of two cores. All of the job takes 8 s and more.
    assert children_cpu_s() - earlier_s - used_s < 4


def test_port_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        program = Program(port=port)
        assert program.process.wait(timeout=60) == 1
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
        timeout=120,
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
    """A page is read although every connection fails."""
    ended = run(
        "import socket, threading\n"
        "def refuse(*_args, **_kwargs): raise AssertionError('network')\n"
        "socket.socket.connect = socket.socket.connect_ex = refuse\n"
        "socket.getaddrinfo = socket.create_connection = refuse\n"
        "from app.embedded.ocr import models, reader\n"
        "from tests.embedded.pictures import pixels\n"
        "image, cancelled = pixels('receipt_ko.png'), threading.Event()\n"
        "print(next(reader.read_image(image, models.load(2), cancelled)).text)"
    )
    assert ended.stdout == "행복마트 서초점\n", ended.stderr


def test_damaged_weights_never_reach_rapidocr(tmp_path: Path) -> None:
    """rapidocr would download them again."""
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
