"""What /metrics tells, read by Prometheus's own parser, after real requests."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fake_ollama.script import HANG
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import Server
from tests.observability.conftest import KEY
from tests.observability.traffic import FILES, mixed
from tests.polling import wait_until

SLACK_MS = 250  # on a machine that others use, too
# The contract's names: what kind of metric, and its labels.
CONTRACT = {
    "vlm_requests_total": ("counter", {"task", "model", "code"}),
    "vlm_request_seconds": ("histogram", {"task"}),
    "vlm_queue_seconds": ("histogram", {"task"}),
    "vlm_prepare_seconds": ("histogram", {"task"}),
    "vlm_time_to_first_token_seconds": ("histogram", {"task"}),
    "vlm_prompt_tokens_total": ("counter", {"model"}),
    "vlm_completion_tokens_total": ("counter", {"model"}),
    "vlm_image_tokens_total": ("counter", {"model"}),
    "vlm_in_flight": ("gauge", set()),
    "vlm_queue_depth": ("gauge", set()),
    "vlm_cache_hits_total": ("counter", set()),
    "vlm_engine_up": ("gauge", set()),
    "vlm_model_vram_ratio": ("gauge", {"model"}),
    "vlm_slots": ("gauge", set()),
    "vlm_queue_limit": ("gauge", set()),
    "vlm_engine_faults_total": ("counter", {"model", "fault"}),
    "process_resident_memory_bytes": ("gauge", set()),
    "process_cpu_seconds_total": ("counter", set()),
    "process_start_time_seconds": ("gauge", set()),
    "process_open_fds": ("gauge", set()),
    "process_max_fds": ("gauge", set()),
}
Scrape = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(client: httpx.Client) -> str:
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return response.text


def samples(client: httpx.Client) -> Scrape:
    """Values by name and labels."""
    families = text_string_to_metric_families(scrape(client))
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(found: Scrape, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


def after(client: httpx.Client, name: str, wanted: float, **labels: str) -> Scrape:
    """The scrape in which a counter is so far; it is counted when the answer is already here."""
    wait_until(lambda: value(samples(client), name, **labels) >= wanted)
    return samples(client)


def test_the_contract(client: httpx.Client) -> None:
    mixed(client)
    families = {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in text_string_to_metric_families(scrape(client))
    }
    for name, (kind, labels) in CONTRACT.items():
        family = families.pop(name)
        assert family.type == kind, name
        assert family.documentation
        assert family.samples, name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == labels, sample
    assert not [name for name in families if name.startswith("vlm_")], "not in the table"


def test_each_request_is_counted_once(client: httpx.Client) -> None:
    name = "vlm_requests_total"
    before = samples(client)
    for one, times in Counter(mixed(client)).items():
        labels = {"task": one.task, "model": one.model, "code": one.code}
        wanted = value(before, name, **labels) + times
        assert value(after(client, name, wanted, **labels), name, **labels) == wanted


def test_what_one_answer_adds(client: httpx.Client) -> None:
    """Seconds are seconds; tokens are the engine's and those of the plan."""
    before = samples(client)
    data = {"max_tokens": "8", "prompt": "how much is it"}
    answer = client.post("/v1/describe", files=FILES, data=data).json()
    counted = {"task": "describe", "model": "tiny-vlm", "code": "ok"}
    wanted = value(before, "vlm_requests_total", **counted) + 1
    found = after(client, "vlm_requests_total", wanted, **counted)

    def added(name: str, **labels: str) -> float:
        return value(found, name, **labels) - value(before, name, **labels)

    timings, usage = answer["timings"], answer["usage"]
    for name, least_ms, most_ms in (
        ("vlm_request_seconds", timings["total_ms"], timings["total_ms"] + SLACK_MS),
        ("vlm_prepare_seconds", timings["prepare_ms"], timings["prepare_ms"] + SLACK_MS),
        ("vlm_queue_seconds", 0, timings["queue_ms"] + SLACK_MS),
        ("vlm_time_to_first_token_seconds", timings["prepare_ms"], timings["total_ms"] + SLACK_MS),
    ):
        assert added(f"{name}_count", task="describe") == 1
        assert least_ms - 0.1 <= added(f"{name}_sum", task="describe") * 1e3 <= most_ms, name
        assert added(f"{name}_bucket", task="describe", le="+Inf") == 1
    assert added("vlm_prompt_tokens_total", model="tiny-vlm") == usage["prompt_tokens"]
    assert added("vlm_completion_tokens_total", model="tiny-vlm") == usage["completion_tokens"]
    planned = answer["images"][0]["tokens"]
    assert added("vlm_image_tokens_total", model="tiny-vlm") == planned > 0


def test_a_client_cannot_make_the_labels_grow(client: httpx.Client) -> None:
    names = [
        "tiny-vlm:latest",
        "TINY-VLM",
        "Tiny-Vlm:LATEST",
        "library/tiny-vlm",
        "registry.ollama.ai/library/tiny-vlm",
        "x" * 300,
    ]
    names += [f"made-up-{number}" for number in range(20)]
    found = set()
    for name in names:
        data = {"model": name, "max_tokens": "2"}
        found.add(client.post("/v1/describe", files=FILES, data=data).status_code)
        client.request(f"MADE{len(found)}", f"/v1/{name}", headers={"X-Request-ID": name})
    assert found == {200, 404}
    labels: dict[str, set[str]] = {}
    for _, pairs in samples(client):
        for label, told in pairs:
            labels.setdefault(label, set()).add(told)
    assert labels["model"] <= {"", "tiny-vlm"}
    assert labels["task"] <= {"", "describe", "ocr", "vqa"}
    assert len(labels["code"]) < 10


def test_metrics_want_a_key(server: Server) -> None:
    url = f"{server.url}/metrics"
    assert httpx.get(url, trust_env=False).status_code == 401
    headers = {"Authorization": f"Bearer {KEY}"}
    assert "vlm_engine_up" in httpx.get(url, headers=headers, trust_env=False).text


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FakeOllama, Server]]:
    log = tmp_path_factory.mktemp("faulty") / "server.log"
    with (
        FakeOllama() as engine,
        Server(log, OLLAMA_HOST=engine.url, MODEL_NAME="fake-vlm") as server,
    ):
        yield engine, server


def told_of(server: Server) -> Scrape:
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        return samples(client)


def test_the_engine_goes_and_comes_back(faulty: tuple[FakeOllama, Server]) -> None:
    engine, server = faulty
    assert value(told_of(server), "vlm_engine_up") == 1
    assert value(told_of(server), "vlm_model_vram_ratio", model="fake-vlm") == 1
    engine.stop()
    found = told_of(server)
    assert value(found, "vlm_engine_up") == 0
    assert not [name for name, _ in found if name == "vlm_model_vram_ratio"]
    engine.start()
    wait_until(lambda: value(told_of(server), "vlm_engine_up") == 1)
    found = told_of(server)
    assert value(found, "vlm_model_vram_ratio", model="fake-vlm") == 1


def test_a_frozen_engine_does_not_hold_up_the_scrape(faulty: tuple[FakeOllama, Server]) -> None:
    engine, server = faulty
    engine.play(HANG, at="/api/ps")
    started = time.monotonic()
    found = told_of(server)
    engine.reset()
    assert time.monotonic() - started < 60
    assert value(found, "vlm_engine_up") == 0
    assert value(found, "vlm_slots") == 1
