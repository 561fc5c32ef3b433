"""Operations: liveness, readiness, status and metrics."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import PlainTextResponse, Response

from app.errors import EngineUnavailable, ModelNotFound, Problem
from app.metrics import Metrics
from app.models.catalog import MIN_OLLAMA
from app.models.daemon import trouble
from app.models.plan import Verdict
from app.routes.caller import refuse_if_draining
from app.routes.document import problems
from app.tasks.run import Line

ENGINE_S = 3.0  # for the state of the engine; Prometheus waits 10 s for a scrape

router = APIRouter(tags=["operations"])
Asked = Annotated[str | None, Query(description="Which installed model; default: `MODEL_NAME`")]


@router.get("/health", summary="200 while the process is alive")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@router.get(
    "/ready",
    summary="200 only if a request would be answered",
    responses=problems(503),
)
async def ready(request: Request) -> dict[str, Any]:
    """The engine answers, and the model is installed and takes images. `warnings` list known
    faults of the engine."""
    line: Line = request.app.state.line
    refuse_if_draining(line.gate)
    try:
        model = await line.registry.seeing(fresh=True)
    except Problem as problem:
        raise EngineUnavailable(problem.detail, reason=problem.code) from problem
    warnings = list(filter(None, [trouble(model.daemon.version), model.observed.warning]))
    told = {"status": "ready", "model": model.name}
    return {**told, "warnings": warnings} if warnings else told


@router.get("/v1/status", summary="Engine, model and queue")
async def status(request: Request, model: Asked = None) -> dict[str, Any]:
    """The engine, the model and the queue. A value that is unknown now is null; `problem` has the
    reason."""
    line: Line = request.app.state.line
    told: dict[str, Any] = {
        "engine": {"url": line.ollama.url, "version": None, "minimum_for_qwen3_vl": MIN_OLLAMA},
        "model": None,
        "slots": None,
        "queue": {"waiting": line.gate.waiting, "limit": line.gate.max_queue},
        "problem": None,
    }
    try:
        told["engine"]["version"] = await line.ollama.version()
        found = await line.registry.find(model, fresh=True)
        told["model"] = {
            "name": found.name,
            "family": found.family,
            "capabilities": sorted(found.capabilities),
            "num_ctx": found.num_ctx,
            "image_token_rule": asdict(found.image_rule),
            "digest": found.digest,
            **({"warnings": [found.observed.warning]} if found.observed.warning else {}),
            **_placed(await line.registry.placement(found.name)),
        }
    except Problem as problem:
        told["problem"] = {"code": problem.code, "detail": problem.detail}
    told["slots"] = _slots(line)
    return told


def _slots(line: Line) -> dict[str, Any]:
    """The slots; `reason` if the default model has fewer than `NUM_PARALLEL`."""
    told = {"total": line.gate.slots, "running": line.gate.running}
    return {**told, "reason": line.registry.one_slot} if line.registry.one_slot else told


@router.get("/metrics", summary="Prometheus", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Queries the engine at each scrape, for its current state. An engine that hangs does not
    delay the other metrics by more than `ENGINE_S`."""
    line: Line = request.app.state.line
    told: Metrics = request.app.state.metrics
    try:
        async with asyncio.timeout(ENGINE_S):
            model = await line.registry.find()
            verdict = await line.registry.placement(model.name)
        told.engine(True, model.name, verdict.share if verdict else None)
    except ModelNotFound:
        told.engine(True)
    except (Problem, TimeoutError):
        told.engine(False)
    return Response(told.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _placed(verdict: Verdict | None) -> dict[str, Any]:
    """Whether the model is loaded, and its share in GPU memory, 0 to 1."""
    if verdict is None:
        return {"loaded": False, "vram_ratio": None, "warning": None}
    return {"loaded": True, "vram_ratio": verdict.share, "warning": verdict.warning or None}
