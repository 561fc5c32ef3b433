"""The context and the placement of a model, on simulated GPUs."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import respx
import structlog

from app.engine.client import OllamaClient
from app.engine.registry import ContextBudget, ModelRegistry
from app.errors import ForbiddenModel, ModelNotFound
from app.models.gpu import Gpu, GpuInventory
from app.models.memory_plan import DEFAULT_NUM_CTX

URL = "http://engine.test:11434"
NAME = "qwen3-vl:32b"
GIB = 1 << 30
CARD = GpuInventory((Gpu(0, "GPU-1", "RTX 4090", 24 * GIB, 24 * GIB),), "nvml")
SHOWN = {
    "capabilities": ["completion", "vision", "thinking"],
    "details": {"family": "qwen3vl"},
    "model_info": {"general.architecture": "qwen3vl", "qwen3vl.context_length": 262_144},
}


@pytest.fixture
def routes() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=URL, assert_all_called=False) as routes:
        yield routes


@pytest.fixture
async def ollama(routes: respx.MockRouter) -> AsyncIterator[OllamaClient]:
    installed = {"name": NAME, "size": 21 * 10**9}
    routes.post("/api/show").respond(json=SHOWN)
    routes.get("/api/version").respond(json={"version": "0.33.0"})
    routes.get("/api/tags").respond(json={"models": [installed]})
    ollama = OllamaClient(URL, httpx.AsyncHTTPTransport())
    yield ollama
    await ollama.aclose()


def registry(
    ollama: OllamaClient, allowed: frozenset[str] = frozenset(), **room: Any
) -> ModelRegistry:
    return ModelRegistry(ollama, NAME, allowed, ContextBudget(**room))


@pytest.mark.parametrize(
    ("room", "num_ctx"),
    [
        ({}, DEFAULT_NUM_CTX),
        ({"gpus": CARD}, 9216),
        ({"gpus": CARD, "cache": "q8_0"}, 18_432),
        ({"gpus": CARD, "cache": "q8_0", "slots": 2}, 18_432),  # the daemon uses one slot anyway
        ({"gpus": CARD, "num_ctx": 4096}, 4096),
        ({"num_ctx": 1_000_000}, 262_144),
    ],
)
async def test_context(ollama: OllamaClient, room: dict[str, Any], num_ctx: int) -> None:
    models = registry(ollama, **room)
    assert (await models.find()).num_ctx == num_ctx
    assert (await models.find(fresh=True)).num_ctx == num_ctx


async def test_what_was_learnt_outlives_a_fresh_look(ollama: OllamaClient) -> None:
    models = registry(ollama)
    first = await models.find()
    assert (await models.find(fresh=True)).estimator is first.estimator


async def test_only_allowed_models(ollama: OllamaClient) -> None:
    models = registry(ollama, frozenset({"llava"}))
    assert (await models.find()).name == NAME  # the default model is always served
    with pytest.raises(ModelNotFound, match="not served here"):
        await models.find("qwen3-vl:8b")


@pytest.mark.parametrize(("size_vram", "warns"), [(25 * GIB, False), (15 * GIB, True), (0, True)])
async def test_a_model_beside_the_gpu_is_told_once(
    ollama: OllamaClient, routes: respx.MockRouter, size_vram: int, warns: bool
) -> None:
    loaded = {"name": NAME, "size": 25 * GIB, "size_vram": size_vram}
    routes.get("/api/ps").respond(json={"models": [loaded]})
    models = registry(ollama)
    with structlog.testing.capture_logs() as lines:
        verdicts = [await models.placement(NAME) for _ in range(3)]
    assert len(lines) == int(warns)
    assert {placement.gpu_share for placement in verdicts if placement} == {size_vram / (25 * GIB)}
    assert verdicts[0] and bool(verdicts[0].warning) is warns


async def test_a_model_that_is_not_loaded_is_nowhere(
    ollama: OllamaClient, routes: respx.MockRouter
) -> None:
    routes.get("/api/ps").respond(json={"models": []})
    assert await registry(ollama).placement(NAME) is None


@pytest.mark.parametrize("where", [{"remote_host": "https://ollama.com:443"},
                                   {"remote_model": "qwen3-vl:235b"}])  # fmt: skip
@pytest.mark.parametrize("told_by", ["tags", "show"])
async def test_a_model_that_runs_elsewhere_gets_no_pictures(
    ollama: OllamaClient, routes: respx.MockRouter, where: dict[str, str], told_by: str
) -> None:
    if told_by == "tags":
        routes.get("/api/tags").respond(json={"models": [{"name": NAME, **where}]})
        assert await registry(ollama).served_models() == []
    else:
        routes.post("/api/show").respond(json=SHOWN | where)
    with pytest.raises(ForbiddenModel, match="ALLOW_CLOUD_MODELS"):
        await registry(ollama).find()
    allowed = ModelRegistry(ollama, NAME, frozenset(), ContextBudget(), allow_cloud=True)
    assert (await allowed.find()).name == NAME
    assert len(await allowed.served_models()) == 1


async def test_the_gate_is_told_how_many_run_at_once(
    ollama: OllamaClient, routes: respx.MockRouter
) -> None:
    told: list[int] = []
    models = ModelRegistry(ollama, NAME, frozenset(), ContextBudget(slots=4), on_slots=told.append)
    await models.find()
    assert told == [1]
    assert "one request at a time" in models.single_slot_reason
    routes.post("/api/show").respond(json=SHOWN | {"details": {"family": "gemma3"}})
    await models.find(fresh=True)
    assert told == [1, 4]
    assert models.single_slot_reason == ""
