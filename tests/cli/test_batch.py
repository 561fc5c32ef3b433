"""`python -m app batch` as a command, on a server that does as it is told."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import call, start
from tests.client.fake import Fake, problem
from tests.polling import wait_until
from tests.ports import free_port


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Twelve files that the fake server takes for pictures."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number:02}.png").write_bytes(f"picture {number}".encode())
    return folder


def lines(out: Path) -> dict[str, dict[str, Any]]:
    """By the file's name; each has one line only."""
    found = [json.loads(line) for line in out.read_text().splitlines()]
    named = {Path(line["path"]).name: line for line in found}
    assert len(named) == len(found)
    return named


def test_options_go_to_the_server_and_a_line_says_all(
    fake: Fake, scans: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    options = ("--style", "caption", "--language", "ko", "--max-tokens", 9, "--think", "-p", "Hm")
    done = call(
        "batch", "describe", scans / "03.png", "-o", out, *map(str, options), SERVER_URL=fake.url
    )
    assert done.returncode == 0, done.stderr
    assert "1 file: 1 answered, 0 failed." in done.stderr
    sent = {name: value for name, value in fake.fields.items() if name != "image"}
    assert sent == {
        "style": ["caption"],
        "language": ["ko"],
        "max_tokens": ["9"],
        "think": ["true"],
        "prompt": ["Hm"],
        "stream": ["true"],
    }
    (line,) = lines(out).values()
    assert next(iter(line)) == "path"
    assert line["task"] == "describe"
    assert line["sha256"] == line["answer"]["text"]
    assert line["server"] == fake.url
    assert line["timings"]["attempts"] == 1
    assert 0 < line["timings"]["request_ms"] <= line["timings"]["total_ms"]


def test_a_file_that_is_no_picture_is_told_and_tried_again_when_asked(
    fake: Fake, scans: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    command = ("batch", "ocr", scans, "--out", out, "--server", fake.url)
    (scans / "gone.png").symlink_to(scans / "nowhere")
    (scans / "12.png").mkdir()
    fake.refuse = lambda n: problem(415, "unsupported_image") if n == 3 else None
    done = call(*command, scans / "00.png")
    assert done.returncode == 1
    assert "12 files: 11 answered, 1 failed." in done.stderr
    assert "It says unsupported_image." in done.stderr
    assert (tmp_path / "out.jsonl.failed").read_text().count("\n") == 1
    asked = fake.asked
    done = call(*command)
    assert (done.returncode, fake.asked) == (1, asked), "what has a line is not asked again"
    fake.refuse = lambda _: None
    done = call(*command, "--retry-failed")
    assert done.returncode == 0, done.stderr
    assert fake.asked == asked + 1
    assert len(lines(out)) == 12
    assert not (tmp_path / "out.jsonl.failed").exists()


def test_a_list_on_standard_input(fake: Fake, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    names = "".join(f"{scans}/{name}\n" for name in ("02.png", "01.png", "none.png", "02.png"))
    done = call("batch", "ocr", "-", "-o", out, "--server", fake.url, stdin=names.encode())
    assert done.returncode == 1
    found = lines(out)
    assert set(found) == {"01.png", "02.png", "none.png"}
    assert found["none.png"]["error"]["code"] == "unreadable_file"
    assert found["none.png"]["sha256"] is None


def test_texts_beside_their_files(fake: Fake, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    mine = scans / "05.png.md"
    mine.write_text("mine")
    command = ("batch", "ocr", scans, "--out", out, "--server", fake.url, "--beside", "md")
    done = call(*command)
    assert done.returncode == 1
    assert fake.fields["format"] == ["markdown"]
    assert f"{mine} already exists" in done.stderr
    assert mine.read_text() == "mine"
    found = lines(out)
    assert found["05.png"]["error"]["code"] == "file_exists"
    for name in ("04.png", "11.png"):
        assert (scans / f"{name}.md").read_text() == found[name]["answer"]["text"] + "\n"
    # A kill between a line and its text, and a text that was asked for only later.
    (scans / "04.png.md").unlink()
    done = call(*command, "--retry-failed", "--force")
    assert done.returncode == 0, done.stderr
    assert mine.read_text() == lines(out)["05.png"]["answer"]["text"] + "\n"
    assert (scans / "04.png.md").exists()
    assert fake.asked == 12


def test_two_runs_on_one_file(fake: Fake, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    fake.delay_s = 30
    command = ("batch", "ocr", scans, "--out", out, "--server", fake.url)
    first = start(*command)
    wait_until(lambda: fake.running > 0)
    done = call(*command)
    assert done.returncode == 1
    assert "Another run is writing to" in done.stderr
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=120)
    assert first.returncode == 130, said
    assert b"12 left: run the same command again" in said
    assert b"Traceback" not in said
    assert fake.left.wait(120), "the requests under way are let go of"
    assert out.read_bytes() == b""


def test_sigterm_is_as_ctrl_c(fake: Fake, scans: Path, tmp_path: Path) -> None:
    fake.delay_s = 30
    run = start("batch", "ocr", scans, "--out", tmp_path / "o", "--server", fake.url)
    wait_until(lambda: fake.running > 0)
    run.terminate()
    _, said = run.communicate(timeout=120)
    assert run.returncode == 130
    assert b"12 left" in said and b"Traceback" not in said


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "unauthorized"), (404, "model_not_found"), (422, "invalid_parameter")],
)
def test_what_no_file_can_be_answered_with_ends_the_run(
    fake: Fake, scans: Path, tmp_path: Path, status: int, code: str
) -> None:
    fake.refuse = lambda _: problem(status, code)
    out = tmp_path / "out.jsonl"
    done = call("batch", "ocr", scans, "--out", out, "--server", fake.url)
    assert done.returncode == 1
    assert f"The server rejects this request for every file: It says {code}." in done.stderr
    assert "12 left" in done.stderr
    assert out.read_bytes() == b""
    assert fake.asked < 12


def test_nobody_there(scans: Path, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = call("batch", "ocr", scans, "--out", tmp_path / "o", "--server", url)
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(f"No server answers at {url}. Start it with ./run_server.sh")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("none",), "There is no file or folder none."),
        (("none*.png",), "Nothing matches none*.png."),
        (("scans", "--style", "loud"), "'loud' is not one of"),
        ((), "Missing argument 'paths"),
    ],
)
def test_usage(scans: Path, arguments: tuple[str, ...], words: str) -> None:
    done = call("batch", "describe", *arguments, "--out", "out.jsonl", cwd=scans.parent)
    assert done.returncode == 2
    assert words in done.stderr
    assert not (scans.parent / "out.jsonl").exists()


def test_an_empty_folder(tmp_path: Path) -> None:
    done = call("batch", "ocr", tmp_path, "--out", tmp_path / "o")
    assert (done.returncode, done.stderr) == (2, "No image or PDF was found.\n")


def test_the_least_busy_server_gets_more(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    for number in range(12, 60):
        (scans / f"{number}.png").write_bytes(b"%d" % number)
    with Fake(delay_s=0.5) as slow, Fake(delay_s=0.01) as fast:
        servers = ("--server", slow.url, "--server", fast.url)
        done = call("batch", "ocr", scans, "--out", out, *servers)
        assert done.returncode == 0, done.stderr
        print(slow.asked, fast.asked)
        assert 0 < slow.asked < fast.asked
        assert slow.asked + fast.asked == len(lines(out)) == 60
        assert max(slow.most, fast.most) <= 6, "the slots it tells, and two"


def test_a_dead_server_is_set_aside_and_comes_back(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    for number in range(12, 150):
        (scans / f"{number}.png").write_bytes(b"%d" % number)
    dying = Fake(delay_s=0.02)
    with Fake(delay_s=0.04) as living, dying:
        run = start(
            *("batch", "ocr", scans, "--out", out),
            *("--server", living.url, "--server", dying.url),
        )
        wait_until(lambda: dying.asked >= 5)
        dying.__exit__(None, None, None)
        died_at = dying.asked
        wait_until(lambda: living.asked >= 20)
        dying.__enter__()
        _, said = run.communicate(timeout=120)
    text = said.decode()
    print(text)
    assert run.returncode == 0, text
    assert f"{dying.url} gets no requests until it is ready again: No server" in text
    assert f"{dying.url} is ready again." in text
    assert dying.asked > died_at
    assert len(lines(out)) == 150


def test_with_all_servers_gone_the_run_waits_and_then_ends(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with Fake(delay_s=0.2) as fake:
        run = start("batch", "ocr", scans, "-o", out, "--server", fake.url, "--patience", "1")
        wait_until(lambda: out.exists() and out.read_bytes().count(b"\n") >= 2)
    _, said = run.communicate(timeout=120)
    assert run.returncode == 1
    assert b"No server answered for 1 s." in said
    assert b"left: run the same command again" in said
    assert all(line["error"] is None for line in lines(out).values()), "no file is to blame"
