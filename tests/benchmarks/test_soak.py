"""The soak itself: a short run, and that it knows what is lost."""

import re
import subprocess
import sys

import httpx
import pytest

from benchmarks.load import Ask, ended
from tests.fake_ollama.script import HANG, Cut, Head, Script, Send, page, replies
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import REPO

DONE = b'event: done\ndata: {"text": "a"}\n\n'
ERROR = b'event: error\ndata: {"code": "engine_error"}\n\n'
SSE = Head(200, "text/event-stream")
NDJSON = Head(200, "application/x-ndjson")
SEPARATED = '{"event": "done", "text": "one\x85two"}\n'.encode()
TEXT = Head(200, "text/plain; charset=utf-8")
PROBLEM = Head(502, "application/problem+json")


def test_a_short_run_loses_nothing() -> None:
    short = ("--seconds", "6", "--every", "2", "--clients", "8")
    command = [sys.executable, "-m", "benchmarks.soak", *short]
    done = subprocess.run(
        command, cwd=REPO, capture_output=True, text=True, timeout=120, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r", [1-3] faults \|", done.stdout)  # three, where the machine is not busy
    assert "| LOST | 0 |" in done.stdout
    assert "| answer |" in done.stdout


@pytest.mark.parametrize(
    ("script", "accept", "how"),
    [
        (replies(200, {"text": "a"}), "*/*", "answer"),
        ((PROBLEM, Send(b'{"code": "engine_error"}')), "*/*", "engine_error"),
        (page(502), "*/*", "LOST"),
        ((PROBLEM, Send(b'{"code": "internal_error"}')), "*/*", "LOST"),
        ((SSE, Send(DONE)), "*/*", "answer"),
        ((SSE, Send(ERROR)), "*/*", "engine_error"),
        ((NDJSON, Send(SEPARATED)), "application/x-ndjson", "answer"),
        ((SSE, Send(b'event: delta\ndata: {"text": "a"}\n\n')), "*/*", "LOST"),
        ((SSE, Send(DONE[:-20])), "*/*", "LOST"),
        ((SSE, Send(DONE[:-20]), Cut.RESET), "*/*", "LOST"),
        ((Cut.RESET,), "*/*", "LOST"),
        ((TEXT, Send(b"a\n")), "text/plain", "answer"),
        ((TEXT, Send(b"a")), "text/plain", "LOST"),
        ((TEXT, Send(b"a"), Cut.CLOSED), "text/plain", "LOST"),
        ((TEXT, Send(b"a\n[engine_error] so\n"), Cut.CLOSED), "text/plain", "engine_error"),
    ],
)
async def test_what_is_lost(script: Script, accept: str, how: str) -> None:
    with FakeOllama() as server:
        server.play(script, at="/v1/ocr")
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
            assert (await ended(client, Ask("ocr", b"", {}, accept), 5)).how == how


async def test_what_hangs() -> None:
    with FakeOllama() as server:
        server.play(HANG, at="/v1/ocr")
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
            assert (await ended(client, Ask("ocr", b"", {}), 0.2)).how == "hung"
