"""`batch` on 500 images, whatever happens to it: each file is answered exactly once."""

import json
import random
import signal
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.responses import Response

from tests.cli.command import call, start
from tests.client.fake import Fake, problem
from tests.fake_ollama.script import says
from tests.fake_ollama.server import SENTENCE, FakeOllama
from tests.inference_server import Server
from tests.pictures import encoded
from tests.polling import HANG_S

FILES = 500
KILLS = 5


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """500 pictures, all different, in folders; and what is none."""
    folder = tmp_path_factory.mktemp("scans")
    for number in range(FILES):
        below = folder / f"{number % 7}"
        below.mkdir(exist_ok=True)
        colour = (number % 256, number // 256 * 50, 100)
        (below / f"{number:03}.png").write_bytes(encoded(Image.new("RGB", (32, 32), colour), "PNG"))
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"no picture")
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The real server; its engine is a fake Ollama that takes its time."""
    with FakeOllama() as engine:
        engine.play(says(SENTENCE, pace_s=0.001))
        settings = {"OLLAMA_HOST": engine.url, "MODEL_NAME": "fake-vlm", "NUM_PARALLEL": "4"}
        with Server(tmp_path / "server.log", **settings) as server:
            yield server.url


def lines_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_bytes().splitlines()]


def whole(out: Path, scans: Path) -> list[dict[str, Any]]:
    """The lines, of which there is exactly one a file, with the right hash and an answer."""
    lines = lines_of(out)
    pictures = {str(path) for path in scans.rglob("[0-9][0-9][0-9].png")}
    assert len(pictures) == FILES
    assert sorted(line["path"] for line in lines) == sorted(pictures)
    for line in lines:
        assert line["error"] is None
        assert line["answer"]["text"]
        assert line["sha256"] == sha256(Path(line["path"]).read_bytes()).hexdigest()
    return lines


def killed(draw: random.Random, out: Path, *command: str | Path) -> int:
    """Start it, let it do some files, and end it with SIGKILL; how many lines there are then."""
    begun = out.read_bytes().count(b"\n") if out.exists() else 0
    process = start(*command)
    deadline = time.monotonic() + HANG_S
    enough = begun + draw.randint(5, 30)
    while not out.exists() or out.read_bytes().count(b"\n") < enough:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    time.sleep(draw.uniform(0, 0.05))
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    return out.read_bytes().count(b"\n")


def test_killed_five_times(server: str, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    seed = random.randrange(1000)
    print(f"seed {seed}")
    draw = random.Random(seed)
    command = ("batch", "ocr", scans, "--out", out, "--beside", "txt", "--server", server)
    marks = []
    for number in range(KILLS):
        marks.append(killed(draw, out, *command))
        if number % 2:  # as where the kill came in the middle of a write
            data = out.read_bytes()
            torn = json.loads(data.splitlines()[-1])["path"]
            Path(f"{torn}.txt").unlink(missing_ok=True)  # comes after the whole line
            out.write_bytes(data[: len(data) - draw.randint(1, 300)])
    done = call(*command)
    assert done.returncode == 0, done.stderr
    print(f"lines at each kill: {marks}\n{done.stderr}")
    assert f"{FILES} files: {FILES} answered, 0 failed." in done.stderr
    for line in whole(out, scans):
        beside = Path(f"{line['path']}.txt")
        assert beside.read_text() == line["answer"]["text"] + "\n"
        beside.unlink()
    assert not list(scans.rglob("*.draft"))


def half(number: int) -> Response | None:
    """Every other request is refused, in one way or another; one in 200 for a second."""
    if number % 2:
        return None
    wait = "1" if number % 200 == 0 else "0"
    match number % 3:
        case 0:
            return problem(429, "queue_full", wait)
        case 1:
            return problem(503, "engine_unavailable", wait)
        case _:
            return problem(429, "rate_limited", wait)


def test_killed_five_times_and_refused_every_other_time(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    draw = random.Random(7)
    with Fake(half, delay_s=0.005) as fake:
        command = ("batch", "describe", scans, "--out", out, "--server", fake.url)
        marks = [killed(draw, out, *command) for _ in range(KILLS)]
        done = call(*command)
        asked = fake.asked
    assert done.returncode == 0, done.stderr
    print(f"{asked} requests, lines at each kill: {marks}\n{done.stderr}")
    assert asked >= 2 * FILES
    lines = whole(out, scans)
    assert all(line["answer"]["text"] == line["sha256"] for line in lines)
    assert any(line["timings"]["attempts"] > 1 for line in lines)
