"""Operations: liveness, readiness, status and metrics."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import PlainTextResponse, Response

from app.errors import EngineUnavailable, ModelNotFound, Problem
from app.models.catalog import MIN_OLLAMA
from app.models.daemon import known_bug
from app.models.memory_plan import Placement
from app.observability.metrics import Metrics
from app.pipeline.pipeline import Pipeline
from app.routes.admission import check_not_draining
from app.routes.openapi import problem_responses

ENGINE_TIMEOUT_S = 3.0  # for the state of the engine; Prometheus waits 10 s for a scrape

router = APIRouter(tags=["operations"])
ModelQuery = Annotated[
    str | None, Query(description="Which installed model; default: `MODEL_NAME`")
]


@router.get("/health", summary="200 while the process is alive")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@router.get(
    "/ready",
    summary="200 only if a request would be answered",
    responses=problem_responses(503),
)
async def ready(request: Request) -> dict[str, Any]:
    """The engine answers, and the model is installed and takes images. `warnings` list known
    faults of the engine."""
    pipeline: Pipeline = request.app.state.pipeline
    check_not_draining(pipeline.scheduler)
    try:
        model = await pipeline.registry.find_vision(fresh=True)
    except Problem as problem:
        raise EngineUnavailable(problem.detail, reason=problem.code) from problem
    warnings = list(filter(None, [known_bug(model.daemon.version), model.observed.warning]))
    fields = {"status": "ready", "model": model.name}
    return {**fields, "warnings": warnings} if warnings else fields


@router.get("/v1/status", summary="Engine, model and queue")
async def status(request: Request, model: ModelQuery = None) -> dict[str, Any]:
    """The engine, the model and the queue. A value that is unknown now is null; `problem` has the
    reason."""
    pipeline: Pipeline = request.app.state.pipeline
    fields: dict[str, Any] = {
        "engine": {"url": pipeline.ollama.url, "version": None, "minimum_for_qwen3_vl": MIN_OLLAMA},
        "model": None,
        "slots": None,
        "queue": {"waiting": pipeline.scheduler.waiting, "limit": pipeline.scheduler.max_queue},
        "problem": None,
    }
    try:
        fields["engine"]["version"] = await pipeline.ollama.version()
        found = await pipeline.registry.find(model, fresh=True)
        fields["model"] = {
            "name": found.name,
            "family": found.family,
            "capabilities": sorted(found.capabilities),
            "num_ctx": found.num_ctx,
            "image_token_rule": asdict(found.image_rule),
            "digest": found.digest,
            **({"warnings": [found.observed.warning]} if found.observed.warning else {}),
            **_placement_fields(await pipeline.registry.placement(found.name)),
        }
    except Problem as problem:
        fields["problem"] = {"code": problem.code, "detail": problem.detail}
    fields["slots"] = _slot_fields(pipeline)
    return fields


def _slot_fields(pipeline: Pipeline) -> dict[str, Any]:
    """The slots; `reason` if the default model has fewer than `NUM_PARALLEL`."""
    fields = {"total": pipeline.scheduler.slots, "running": pipeline.scheduler.running}
    return (
        {**fields, "reason": pipeline.registry.single_slot_reason}
        if pipeline.registry.single_slot_reason
        else fields
    )


@router.get("/metrics", summary="Prometheus", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Queries the engine at each scrape, for its current state. An engine that hangs does not
    delay the other metrics by more than `ENGINE_TIMEOUT_S`."""
    pipeline: Pipeline = request.app.state.pipeline
    registry: Metrics = request.app.state.metrics
    try:
        async with asyncio.timeout(ENGINE_TIMEOUT_S):
            model = await pipeline.registry.find()
            placement = await pipeline.registry.placement(model.name)
        registry.set_engine_state(True, model.name, placement.gpu_share if placement else None)
    except ModelNotFound:
        registry.set_engine_state(True)
    except (Problem, TimeoutError):
        registry.set_engine_state(False)
    return Response(registry.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _placement_fields(placement: Placement | None) -> dict[str, Any]:
    """Whether the model is loaded, and its share in GPU memory, 0 to 1."""
    if placement is None:
        return {"loaded": False, "vram_ratio": None, "warning": None}
    return {"loaded": True, "vram_ratio": placement.gpu_share, "warning": placement.warning or None}
