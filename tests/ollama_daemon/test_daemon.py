"""Proof of the test bench itself: what the other tests take for granted of the daemon."""

import base64
import io
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.ollama_daemon import models
from tests.ollama_daemon.process import Daemon, _group_members, _seconds, given
from tests.polling import wait_until

pytestmark = pytest.mark.daemon

PREFILL = {"role": "assistant", "thinking": "", "content": "\n"}


@pytest.fixture
def client(daemon: Daemon) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=daemon.url, trust_env=False, timeout=120) as client:
        yield client


def picture() -> str:
    data = io.BytesIO()
    Image.radial_gradient("L").resize((224, 224)).save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


def chat(
    client: httpx.Client, model: str, *more: dict[str, str], image: bool = False, **options: Any
) -> list[dict[str, Any]]:
    """The lines of a streamed answer at temperature 0."""
    question: dict[str, Any] = {"role": "user", "content": "what is this?"}
    if image:
        question["images"] = [picture()]
    think = {"think": options.pop("think")} if "think" in options else {}
    body = {
        "model": model,
        "messages": [question, *more],
        "options": {"temperature": 0, **options},
        **think,
    }
    with client.stream("POST", "/api/chat", json=body) as response:
        return [json.loads(line) for line in response.iter_lines()]


def text(lines: list[dict[str, Any]], part: str = "content") -> str:
    return "".join(line["message"].get(part, "") for line in lines)


def test_version_and_models(client: httpx.Client) -> None:
    version = client.get("/api/version").json()["version"]
    assert given() or version == "0.9.3"
    listed = client.get("/api/tags").json()["models"]
    assert {entry["name"] for entry in listed} == {f"{m.name}:latest" for m in models.ALL}


@pytest.mark.parametrize(
    ("model", "capabilities"),
    [
        ("tiny-vlm", ["completion", "vision"]),
        ("tiny-text", ["completion"]),
        ("slow-vlm", ["completion", "vision"]),
        ("tiny-think", ["completion", "vision", "thinking"]),
        ("tiny-loop", ["completion", "vision"]),
    ],
)
def test_capabilities(client: httpx.Client, model: str, capabilities: list[str]) -> None:
    shown = client.post("/api/show", json={"model": model}).json()
    assert shown["capabilities"] == capabilities


def test_tiny_vlm_takes_the_image_in_and_ends(daemon: Daemon, client: httpx.Client) -> None:
    mark = daemon.mark()
    with_image = chat(client, "tiny-vlm", image=True)
    without = chat(client, "tiny-vlm")
    assert text(with_image).endswith(" over tall grass")
    assert with_image[-1]["done_reason"] == "stop"
    # 64 tokens for 224x224 pixels, 2 markers, 12 for " Picture N: "
    assert with_image[-1]["prompt_eval_count"] == without[-1]["prompt_eval_count"] + 78
    seen = daemon.since(mark)
    assert "[img-0]what is this?" in seen.prompts[0]
    requests = daemon.wait_for_requests(mark, "/api/chat", 2)
    assert [request.status for request in requests] == [200, 200]


def test_tiny_vlm_fills_a_schema(client: httpx.Client) -> None:
    schema = {
        "type": "object",
        "properties": {"title": {"type": "string"}, "count": {"type": "integer"}},
        "required": ["title", "count"],
    }
    body = {
        "model": "tiny-vlm",
        "messages": [{"role": "user", "content": "fill", "images": [picture()]}],
        "format": schema,
        "stream": False,
    }
    answer = client.post("/api/chat", json=body).json()
    assert set(json.loads(answer["message"]["content"])) == {"title", "count"}


def test_tiny_text_ends(client: httpx.Client) -> None:
    assert chat(client, "tiny-text")[-1]["done_reason"] == "stop"


def test_slow_vlm_runs_for_long_and_stops_when_the_client_leaves(
    daemon: Daemon, client: httpx.Client
) -> None:
    started = time.monotonic()
    lines = chat(client, "slow-vlm", image=True)
    assert time.monotonic() - started > 1.5
    assert (lines[-1]["done_reason"], lines[-1]["eval_count"]) == ("length", 400)
    numbers = [int(word) for word in text(lines).split()]
    assert numbers == [(numbers[0] + i) % 400 for i in range(400)]

    mark = daemon.mark()
    body = {"model": "slow-vlm", "messages": [{"role": "user", "content": "count"}]}
    with client.stream("POST", "/api/chat", json=body) as response:
        next(response.iter_lines())
    assert len(daemon.wait_for_requests(mark, "/api/chat")) == 1
    assert daemon.tokens(mark) < 200, "of 400"


def test_tiny_think_thinks_first(client: httpx.Client) -> None:
    lines = chat(client, "tiny-think", image=True, think=True)
    assert text(lines, "thinking").startswith("first I look at this picture")
    assert "think>" not in text(lines) + text(lines, "thinking")
    assert text(lines).endswith(" over tall grass")
    kinds = ["thinking" if line["message"].get("thinking") else "content" for line in lines]
    assert kinds == sorted(kinds, reverse=True), "content came before the thoughts were over"


def test_tiny_think_answers_at_once_after_closed_thoughts(
    daemon: Daemon, client: httpx.Client
) -> None:
    mark = daemon.mark()
    at_once = chat(client, "tiny-think", PREFILL, image=True)
    cut = chat(client, "tiny-think", PREFILL | {"thinking": "first I look"}, image=True)
    for lines in (at_once, cut):
        assert "think" not in text(lines) and not text(lines, "thinking")
        assert text(lines).endswith(" over tall grass")
    empty, started = daemon.since(mark).prompts
    assert empty.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert started.endswith("<|im_start|>assistant\n<think>\nfirst I look\n</think>\n\n")


def test_tiny_loop_repeats_itself(client: httpx.Client) -> None:
    lines = chat(client, "tiny-loop")
    assert lines[-1]["done_reason"] == "length"
    assert text(lines).count("white clouds above it") > 40


def test_a_killed_runner_and_a_restart(daemon: Daemon, client: httpx.Client) -> None:
    chat(client, "tiny-vlm")
    assert daemon.runners()
    mark = daemon.mark()

    def break_off() -> None:
        daemon.wait_for_tokens(mark, 40)
        daemon.kill_runner()

    breaking = threading.Thread(target=break_off)
    breaking.start()
    # "unexpected EOF"; where the daemon lags far behind, "model runner has unexpectedly stopped"
    assert "unexpected" in chat(client, "slow-vlm")[-1]["error"]
    breaking.join()
    chat(client, "tiny-vlm")
    port = daemon.port
    for end in (daemon.stop, daemon.kill):
        group = daemon.pid
        end()
        assert not _group_members(group)
        with pytest.raises(httpx.ConnectError):
            client.get("/api/version")
        daemon.start()
        assert daemon.port == port
        chat(client, "tiny-vlm")


def test_nothing_is_left_when_the_test_run_is_killed() -> None:
    script = """
import httpx, time
from tests.ollama_daemon.process import Daemon
daemon = Daemon()
daemon.start()
httpx.post(daemon.url + "/api/chat", json={"model": "tiny-text"}, trust_env=False)
print(daemon.pid, len(daemon.runners()), flush=True)
time.sleep(60)
"""
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        pid, runners = map(int, run.stdout.readline().split())
        assert runners == 1
        run.send_signal(signal.SIGKILL)
    wait_until(lambda: not _group_members(pid))


def test_durations() -> None:
    assert [_seconds(d) for d in ("1m2.5s", "349.5ms", "75µs")] == pytest.approx(
        [62.5, 0.3495, 75e-6]
    )
