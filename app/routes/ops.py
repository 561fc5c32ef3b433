"""For whoever runs the server: does it live, can it work, what is it doing."""

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

ENGINE_S = 3.0  # for its state; Prometheus waits 10 s for all

router = APIRouter(tags=["operations"])
Asked = Annotated[str | None, Query(description="Which installed model; default: `MODEL_NAME`")]


@router.get("/health", summary="200 while the process lives")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@router.get(
    "/ready",
    summary="200 only where a request would be answered",
    responses=problems(503),
)
async def ready(request: Request) -> dict[str, Any]:
    """The engine answers, and the model is installed and can see. `warnings` say what is known to
    be wrong with the engine all the same."""
    line: Line = request.app.state.line
    refuse_if_draining(line.gate)
    try:
        model = await line.registry.seeing(fresh=True)
    except Problem as problem:
        raise EngineUnavailable(problem.detail, reason=problem.code) from problem
    warnings = list(filter(None, [trouble(model.daemon.version), model.observed.warning]))
    told = {"status": "ready", "model": model.name}
    return {**told, "warnings": warnings} if warnings else told


@router.get("/v1/status", summary="What runs")
async def status(request: Request, model: Asked = None) -> dict[str, Any]:
    """The engine, the model and the queue. What cannot be known now is null, with the reason."""
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
    """Of the default model, which may be known by now; `reason` where they are fewer than asked."""
    told = {"total": line.gate.slots, "running": line.gate.running}
    return {**told, "reason": line.registry.one_slot} if line.registry.one_slot else told


@router.get("/metrics", summary="Prometheus", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """The engine is asked at each scrape, so that its state is that of now. A frozen one does not
    hold up what there is to tell beside it."""
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
    """Whether the model is loaded, and the share of it in the GPU's memory, 0 to 1."""
    if verdict is None:
        return {"loaded": False, "vram_ratio": None, "warning": None}
    return {"loaded": True, "vram_ratio": verdict.share, "warning": verdict.warning or None}
