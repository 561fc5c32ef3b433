"""Traces, as a collector gets them; and that nothing of them is there where nobody asked."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import httpx
import pytest

from app.observability import tracing
from tests.fake_ollama.script import HANG, begins, refuses, says
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import REPO, Server
from tests.observability.collector import Collector
from tests.observability.test_logs import line_of
from tests.observability.traffic import FILES
from tests.polling import HANG_S, wait_until

ALL = ["read", "prepare", "queue", "first_token", "generate"]
WORDS = "one two three four five six seven eight"
Parts = tuple[FakeOllama, Server, Collector, httpx.Client]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    log = tmp_path_factory.mktemp("traced") / "server.log"
    settings = {"MODEL_NAME": "fake-vlm", "LOG_FORMAT": "json", "CACHE_MB": "0"}
    settings["OTEL_BSP_SCHEDULE_DELAY"] = "100"
    with FakeOllama() as engine, Collector() as collector:
        settings |= {"OLLAMA_HOST": engine.url, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        with (
            Server(log, **settings) as server,
            httpx.Client(base_url=server.url, trust_env=False, timeout=120) as client,
        ):
            yield engine, server, collector, client


def describe(client: httpx.Client, ident: str, **headers: str) -> httpx.Response:
    headers |= {"X-Request-ID": ident}
    return client.post("/v1/describe", files=FILES, headers=headers)


def test_a_span_a_stage(parts: Parts) -> None:
    engine, server, collector, client = parts
    engine.play(says(WORDS, pace_s=0.05))
    before = time.time()
    answer = describe(client, "traced-1").json()
    root, below = collector.of("traced-1")
    assert root.name == "POST /v1/describe"
    assert root.service == "qwen3-vl-server"
    assert before <= root.start < root.end <= time.time()
    assert not root.failed
    told = {
        "http.request.method": "POST",
        "http.route": "/v1/describe",
        "http.response.status_code": 200,
        "vlm.task": "describe",
        "vlm.model": "fake-vlm",
        "vlm.code": "ok",
        "vlm.completion_tokens": answer["usage"]["completion_tokens"],
        "vlm.image_tokens": answer["images"][0]["tokens"],
    }
    assert {name: root.attributes[name] for name in told} == told
    assert list(below) == ALL
    spans = list(below.values())
    edges = [root.start, *(span.start for span in spans[1:]), root.end]
    for span, (start, end) in zip(spans, pairwise(edges), strict=True):
        assert span.trace_id == root.trace_id
        assert abs(span.start - start) < 1e-5 and abs(span.end - end) < 1e-5
    assert below["first_token"].end - below["first_token"].start > 0.04
    assert below["generate"].end - below["generate"].start > 0.3
    line = line_of(server, "traced-1")
    assert (line["trace_id"], line["span_id"]) == (root.trace_id, root.span_id)


def test_the_callers_trace_is_gone_on_with(parts: Parts) -> None:
    engine, server, collector, client = parts
    engine.play(says(WORDS))
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    describe(client, "traced-2", traceparent=f"00-{trace}-{span}-01")
    root, below = collector.of("traced-2")
    assert (root.trace_id, root.parent_id) == (trace, span)
    assert {one.trace_id for one in below.values()} == {trace}
    assert line_of(server, "traced-2")["trace_id"] == trace


def test_a_caller_who_does_not_sample_is_followed(parts: Parts) -> None:
    engine, server, collector, client = parts
    engine.play(says(WORDS))
    trace = "1af7651916cd43dd8448eb211c80319c"
    describe(client, "traced-3", traceparent=f"00-{trace}-b7ad6b7169203331-00")
    assert line_of(server, "traced-3")["trace_id"] == trace
    describe(client, "traced-4", traceparent="00-nonsense")
    collector.of("traced-4")  # which comes after it
    assert not [span for span in collector.spans if span.trace_id == trace]


FAILING = {
    "engine_error": refuses(500, "EOF"),
    "engine_interrupted": begins("a small"),
}


@pytest.mark.parametrize("code", FAILING)
def test_where_it_failed(parts: Parts, code: str) -> None:
    engine, _, collector, client = parts
    engine.play(FAILING[code])
    describe(client, f"failed-{code}")
    root, below = collector.of(f"failed-{code}")
    last = "generate" if code == "engine_interrupted" else "first_token"
    assert list(below) == ALL[: ALL.index(last) + 1]
    assert root.attributes["error.type"] == code
    assert root.failed
    assert abs(below[last].end - root.end) < 1e-5


def test_a_mistake_ends_in_reading(parts: Parts) -> None:
    _, _, collector, client = parts
    headers = {"X-Request-ID": "mistaken"}
    client.post("/v1/describe", files=FILES, data={"style": "poem"}, headers=headers)
    root, below = collector.of("mistaken")
    assert list(below) == ["read"]
    assert root.attributes["error.type"] == "invalid_parameter"
    assert not root.failed


def test_who_leaves_the_queue_was_in_the_queue(parts: Parts) -> None:
    engine, _, collector, client = parts
    engine.play(HANG)
    with _asked(client, "leaves-1"):
        wait_until(lambda: engine.counts.running == 1)
        with _asked(client, "leaves-2"):
            wait_until(lambda: client.get("/v1/status").json()["queue"]["waiting"] == 1)
            time.sleep(0.3)
    _, below = collector.of("leaves-2")
    assert list(below) == ["read", "prepare", "queue"]
    assert below["queue"].end - below["queue"].start > 0.25
    root, below = collector.of("leaves-1")
    assert list(below) == ["read", "prepare", "queue", "first_token"]
    assert root.attributes["vlm.code"] == "client_left"


@contextmanager
def _asked(client: httpx.Client, ident: str) -> Iterator[None]:
    """A client that has sent its request and leaves at the end."""
    asked = client.build_request(
        "POST", "/v1/describe", files=FILES, data={"prompt": ident}, headers={"X-Request-ID": ident}
    )
    head = f"POST {asked.url.path} HTTP/1.1\r\n".encode()
    fields = b"".join(b"%b: %b\r\n" % field for field in asked.headers.raw)
    with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as sock:
        sock.sendall(head + fields + b"\r\n" + asked.read())
        yield


def test_nothing_private_is_in_a_span(parts: Parts) -> None:
    engine, _, collector, client = parts
    engine.play(says("quokka"))
    headers, data = {"X-Request-ID": "private"}, {"prompt": "zebra"}
    client.post("/v1/describe?q=zebra", files=FILES, data=data, headers=headers)
    collector.of("private")
    assert "zebra" not in str(collector.spans) and "quokka" not in str(collector.spans)


def test_the_last_spans_are_sent_and_a_lost_collector_is_not_waited_for(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with FakeOllama() as engine, Collector() as collector:
        for number, url in enumerate((collector.url, "http://127.0.0.1:9")):
            log = tmp_path_factory.mktemp("ending") / "log"
            settings = {"OLLAMA_HOST": engine.url, "MODEL_NAME": "fake-vlm"}
            settings |= {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_SERVICE_NAME": "mine"}
            with (
                Server(log, **settings) as server,
                httpx.Client(base_url=server.url, trust_env=False) as client,
            ):
                assert describe(client, f"last-{number}").status_code == 200
                server.process.terminate()
                assert server.process.wait(HANG_S) == 0
        assert collector.of("last-0")[0].service == "mine"


@pytest.mark.parametrize(
    ("environment", "on"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, False),
    ],
)
def test_when_traces_are_made(environment: dict[str, str], on: bool) -> None:
    tracer = tracing.tracer_from_environment(environment)
    assert bool(tracer) is on
    if tracer:
        tracer.close()


OFF = """
import json, os, sys
if sys.argv[1:]:
    sys.modules["opentelemetry.sdk"] = None  # as where the extra is not installed
from app import main
from app.observability import logs, tracing
logs.configure("json")
assert tracing.tracer_from_environment(os.environ) is None
print(json.dumps([name for name in sys.modules if name.startswith("opentelemetry.")]))
"""


def test_off_nothing_is_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OFF], cwd=REPO, capture_output=True, text=True, check=True, env={}
    )
    loaded = json.loads(done.stdout)
    assert not [name for name in loaded if "sdk" in name or "exporter" in name]
    assert done.stderr == ""


def test_without_the_extra_a_line_says_what_to_do() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OFF, "missing"],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
    )
    line = json.loads(done.stderr)
    assert line["event"] == "no traces"
    assert "pip install '.[otel]'" in line["detail"]
