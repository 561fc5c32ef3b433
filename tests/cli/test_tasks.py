"""`describe`, `ocr`, `ask`, `extract`, `detect` as commands, on running servers."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import call, environment, start
from tests.client.fake import Fake, problem
from tests.inference_server import REPO, Server
from tests.ollama_daemon.process import Daemon
from tests.polling import HANG_S, wait_until
from tests.ports import free_port

EXAMPLES = REPO / "examples"
SCHEMA = {"type": "object", "properties": {"total": {"type": ["number", "null"]}}}


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# --- on the embedded engine -------------------------------------------------------------------


def test_ocr_reads(on_embedded: Server) -> None:
    done = call("ocr", EXAMPLES / "receipt_ko.png", "--text", SERVER_URL=on_embedded.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("행복마트 서초점\n")
    assert done.stdout.endswith("\n") and not done.stdout.endswith("\n\n")


def test_piped_it_is_json(on_embedded: Server) -> None:
    done = call("ocr", "examples/letter.pdf", "--pages", "1", SERVER_URL=on_embedded.url)
    (answer,) = objects(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert (answer["file"], answer["task"]) == ("examples/letter.pdf", "ocr")
    assert [image["page"] for image in answer["images"]] == [1]
    assert "Dear customer" in answer["text"]


def test_several_questions(on_embedded: Server) -> None:
    questions = ("-q", "합계는 얼마인가요?", "--question", "Date?")
    picture = EXAMPLES / "receipt_ko.png"
    done = call("ask", picture, *questions, SERVER_URL=on_embedded.url)
    (answer,) = objects(done.stdout)
    assert [one["question"] for one in answer["answers"]] == ["합계는 얼마인가요?", "Date?"]
    text = call("ask", picture, *questions, "--text", SERVER_URL=on_embedded.url).stdout
    assert re.search(r"^합계는 얼마인가요\?\n25,440원\n(.|\n)*\n\nDate\?\n2026-03-17", text)


def test_extract(on_embedded: Server, tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(SCHEMA))
    for schema in (json.dumps(SCHEMA), file):
        arguments = ("extract", EXAMPLES / "receipt_ko.png", "--schema", schema, "--text")
        done = call(*arguments, SERVER_URL=on_embedded.url)
        assert json.loads(done.stdout) == {"total": 25440}


def test_detect(on_embedded: Server) -> None:
    fields = ("--labels", "cup,spoon", "-l", "total")
    done = call("detect", EXAMPLES / "photo.jpg", *fields, SERVER_URL=on_embedded.url)
    (answer,) = objects(done.stdout)
    assert answer["objects"] == []
    text = call("detect", EXAMPLES / "photo.jpg", *fields, "--text", SERVER_URL=on_embedded.url)
    assert (text.stdout, text.stderr) == ("", "No matching objects were found.\n")


def test_globs_and_standard_input(on_embedded: Server) -> None:
    """An answer a file; one bad file costs its own answer only."""
    done = call(
        "describe",
        "examples/t*.png",
        "-",
        "--style",
        "caption",
        stdin=b"no picture",
        SERVER_URL=on_embedded.url,
    )
    assert done.returncode == 1
    found = objects(done.stdout)
    names = [one["file"] for one in found]
    assert names == ["examples/table.png", "standard input"]
    assert [("text" in one, "error" in one) for one in found] == [(True, False), (False, True)]
    assert done.stderr.startswith("standard input: image[0] is not in a supported format")
    assert done.stderr.rstrip().endswith("[unsupported_image]")
    picture = (EXAMPLES / "table.png").read_bytes()
    done = call("ocr", "-", "--text", stdin=picture, SERVER_URL=on_embedded.url)
    assert "8,055,120" in done.stdout


def test_together_is_one_request(on_embedded: Server) -> None:
    files = ("examples/letter.pdf", "examples/table.png")
    fields = ("--pages", "1", "--together")
    done = call("ocr", *files, *fields, SERVER_URL=on_embedded.url)
    (answer,) = objects(done.stdout)
    assert answer["file"] == ", ".join(files)
    assert len(answer["images"]) == 2


def test_an_address_is_told_as_one(on_embedded: Server) -> None:
    done = call("ocr", "https://example.com/a.png", SERVER_URL=on_embedded.url)
    assert done.returncode == 1
    assert "ALLOW_URL_FETCH" in done.stderr


# --- on the real daemon, with a key -----------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "options"),
    [("describe", ()), ("ocr", ()), ("ask", ("-q", "What is red?")), ("vqa", ("-q", "Why?"))],
)
def test_the_real_daemon(
    daemon_server: Server, daemon: Daemon, command: str, options: tuple[str, ...]
) -> None:
    picture = EXAMPLES / "photo.jpg"
    arguments: tuple[str | Path, ...] = (command, picture, *options, "--temperature", "0")
    arguments += ("--server", daemon_server.url)
    (answer,) = objects(call(*arguments, "--api-key", "secret").stdout)
    assert answer["text"].endswith("tall grass")
    text = call(*arguments, "--text", API_KEY="secret").stdout
    assert text == answer["text"] + "\n"


@pytest.mark.parametrize(
    ("command", "options"),
    [("extract", ("--schema", json.dumps(SCHEMA))), ("detect", ("--labels", "cup"))],
)
def test_structure_of_the_real_daemon(
    daemon_server: Server, daemon: Daemon, command: str, options: tuple[str, ...]
) -> None:
    """The tiny model writes a sentence, which is neither: the command says what the server says."""
    options += ("--server", daemon_server.url)
    done = call(command, EXAMPLES / "photo.jpg", *options, API_KEY="secret")
    (answer,) = objects(done.stdout)
    if "error" in answer:
        assert done.returncode == 1
        assert f"[{answer['error']['code']}]" in done.stderr
    else:
        assert done.returncode == 0
        assert answer["data" if command == "extract" else "objects"] is not None


def test_bulk_on_the_real_daemon(daemon_server: Server, daemon: Daemon, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    url = daemon_server.url
    done = call("batch", "ocr", EXAMPLES, "-o", out, SERVER_URL=url, API_KEY="secret")
    assert done.returncode == 0, done.stderr
    found = objects(out.read_text())
    assert len(found) == 4
    assert all(line["answer"]["model"] == "tiny-vlm" for line in found)


def test_without_the_key(daemon_server: Server) -> None:
    done = call("ocr", "examples/photo.jpg", "examples/table.png", "--server", daemon_server.url)
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()  # the second file would end the same way
    assert "[unauthorized]" in sentence and "--api-key" in sentence


# --- what goes wrong --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ocr",), "Missing argument 'files"),
        (("ocr", "none.png"), "There is no file none.png."),
        (("ocr", "none*.png"), "Nothing matches none*.png."),
        (("ocr", "examples"), "examples is a folder."),
        (("ask", "examples/photo.jpg"), "Missing option '--question'"),
        (("describe", "examples/photo.jpg", "--style", "loud"), "'loud' is not one of"),
        (("extract", "examples/photo.jpg", "--schema", "none.json"), "none.json cannot be read"),
        (("extract", "examples/photo.jpg", "--schema", "{"), "This is not valid JSON"),
        (("extract", "examples/photo.jpg", "--schema", "README.md"), "This is not valid JSON"),
    ],
)
def test_usage(arguments: tuple[str, ...], words: str) -> None:
    done = call(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_nobody_there_is_one_sentence() -> None:
    done = call("ocr", "examples/photo.jpg", "examples/table.png", "--text", PORT=str(free_port()))
    assert (done.returncode, done.stdout.count("==")) == (1, 1)
    (sentence,) = done.stderr.splitlines()
    assert "Start it with ./run_server.sh, or set its URL with --server." in sentence


def test_a_wrong_setting_is_one_sentence(tmp_path: Path) -> None:
    done = call("ocr", EXAMPLES / "photo.jpg", cwd=tmp_path, PORT="many")
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("The setting PORT is invalid")


def test_ctrl_c_lets_go_of_the_request() -> None:
    with Fake(delay_s=30) as fake:
        run = start("ocr", "examples/photo.jpg", "--server", fake.url)
        wait_until(lambda: fake.running > 0)
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=120)
        assert run.returncode == 130
        assert said == b"\nStopped.\n"
        assert fake.left.wait(120)


def test_a_reader_who_has_enough_is_no_error() -> None:
    with Fake() as fake:
        run = start("ocr", "examples/photo.jpg", "--text", "--server", fake.url)
        assert run.stdout
        run.stdout.close()
        assert run.stderr and run.stderr.read() == b""
        assert run.wait(120) == 141


# --- on a terminal ----------------------------------------------------------------------------


def on_terminal(*arguments: str, **settings: str) -> str:
    """All that a terminal of 80 columns gets, with its codes."""
    inside, outside = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "app", *arguments],
        cwd=REPO,
        env=environment(TERM="xterm", COLUMNS="80", **settings),
        stdin=outside,
        stdout=outside,
        stderr=outside,
    )
    os.close(outside)
    said = b""
    deadline = time.monotonic() + HANG_S
    while time.monotonic() < deadline:
        if select.select([inside], [], [], 0.1)[0]:
            try:
                said += os.read(inside, 4096)
            except OSError:  # the other end is closed
                break
    process.wait(120)
    os.close(inside)
    return said.decode().replace("\r\n", "\n")


def test_on_a_terminal_it_is_text_with_what_it_cost(on_embedded: Server) -> None:
    said = on_terminal("ocr", "examples/table.png", SERVER_URL=on_embedded.url)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)
    assert "Monthly service report\nPeriod" in plain
    cost = r"embedded: (\d+ prompt tokens, \d+ completion tokens, [\d.]+ s|from the cache)"
    assert re.search(cost, plain)


def test_the_place_in_the_queue_is_told() -> None:
    with Fake(delay_s=1) as fake:
        said = on_terminal("ocr", "examples/table.png", SERVER_URL=fake.url)
    assert "position 1 in the queue, about 1 s" in said
    assert "fake is processing 1 image, 448 tokens ..." in said


def test_an_answer_cannot_command_the_terminal() -> None:
    evil = "a\x1b]0;title\x07b\x1b[2Jc\x9b1md"
    with Fake() as fake:
        fake.text = evil
        said = on_terminal("ocr", "examples/table.png", SERVER_URL=fake.url)
        assert "a]0;titleb[2Jc1md\n" in said
        piped = call("ocr", "examples/table.png", "--text", SERVER_URL=fake.url)
        assert piped.stdout == evil + "\n"
        fake.refuse = lambda _: problem(422, evil)
        said = on_terminal("ocr", "examples/table.png", SERVER_URL=fake.url)
        assert "\x1b]0" not in said and "\x9b" not in said
