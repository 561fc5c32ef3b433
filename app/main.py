"""Creates the application from its parts."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from app import __version__
from app.engine.client import OllamaClient
from app.engine.registry import ContextBudget, ModelRegistry
from app.engine.scheduler import Scheduler
from app.errors import InternalError, InvalidRequest, MethodNotAllowed, NotFound, Problem
from app.images.decoder import Decoder
from app.images.fetch import Fetcher
from app.images.picture import Limits
from app.middleware.auth import PUBLIC_PATHS, ApiKeyMiddleware
from app.middleware.fast_path import FastPathMiddleware
from app.middleware.rate_limit import RateLimiter
from app.middleware.request_context import RequestContextMiddleware
from app.models.gpu import detect_gpus
from app.observability import logs, tracing
from app.observability.metrics import Metrics
from app.pipeline.cache import AnswerCache
from app.pipeline.canary import Canary
from app.pipeline.pipeline import Pipeline
from app.problems import declared_formats, problem_response
from app.routes import openapi, ops, static
from app.routes.direct import DirectRoute
from app.routes.openai import endpoints as openai
from app.routes.tasks import endpoints as tasks
from app.server import memory
from app.server.upload_memory import UploadBudget
from app.settings import Settings


def create_app(settings: Settings | None = None) -> FastAPI:
    """Create the server; settings come from the environment unless given."""
    settings = settings or Settings()
    logs.configure(settings.log_format)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        ollama = OllamaClient(settings.ollama_host)
        gpus = await asyncio.to_thread(detect_gpus, settings.ollama_host)
        context_budget = ContextBudget(
            settings.num_ctx, gpus, settings.num_parallel, settings.kv_cache_type
        )
        scheduler = Scheduler(settings.num_parallel, settings.max_queue)
        registry = ModelRegistry(
            ollama,
            settings.model_name,
            settings.allowed,
            context_budget,
            allow_cloud=settings.allow_cloud_models,
            on_slots=scheduler.resize,
        )
        decoder = Decoder(
            Limits(settings.max_image_megapixels, settings.max_pages),
            settings.decode_timeout_s,
            settings.decode_memory_mb,
        )
        decoder.start()
        app.state.metrics = Metrics(scheduler, registry.fault_counts)
        app.state.tracer = tracer = tracing.tracer_from_environment(os.environ)
        app.state.rate_limiter = RateLimiter(settings.rate_limit)
        app.state.upload_budget = UploadBudget(int(settings.uploads_max_mb * 1e6))
        answer_cache = AnswerCache(int(settings.cache_mb * 1e6))
        app.state.pipeline = Pipeline(settings, registry, decoder, scheduler, ollama, answer_cache)
        fetcher = Fetcher(int(settings.max_body_mb * 1e6)) if settings.allow_url_fetch else None
        app.state.fetcher = fetcher
        background_tasks = [asyncio.create_task(memory.trim_periodically())]
        if settings.canary:
            background_tasks.append(asyncio.create_task(Canary(app.state.pipeline).run()))
        yield
        for task in background_tasks:
            task.cancel()
        if fetcher:
            await fetcher.aclose()
        decoder.close()
        await ollama.aclose()
        if tracer:
            await asyncio.to_thread(tracer.close)

    # FastAPI whose /docs loads its scripts from this server, so that it works without internet.
    app = FastAPIOffline(
        title="Qwen3-VL server",
        summary="Describe images, read them, ask about them",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,  # a redirect would use the client's `Host`
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
        },  # see `app.observability.tracing`
    )
    task_router = tasks.router(settings.max_images)
    app.include_router(task_router)
    app.include_router(openai.router)
    app.include_router(ops.router)
    app.include_router(static.router)
    app.state.problem_formats = declared_formats(app.routes)
    public_paths = PUBLIC_PATHS | {"/metrics"} if settings.allow_anonymous_metrics else PUBLIC_PATHS
    openapi.install_openapi(app, bool(settings.keys), public_paths, app.state.problem_formats)
    # FastAPI's router, its exit stacks and exception handlers take 7 to 12 % of the CPU time of a
    # request (40 % of a refused one), and nothing of what they do is needed for these routes.
    # `tests/integration/test_fast_path.py` holds that both ways answer alike.
    every_route = (*task_router.routes, *openai.router.routes)
    direct = [route for route in every_route if isinstance(route, DirectRoute)]
    app.add_middleware(FastPathMiddleware, routes=direct)
    app.add_middleware(ApiKeyMiddleware, keys=settings.keys, public_paths=public_paths)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["X-Request-ID", "Server-Timing", "Retry-After"],
        )
    app.add_middleware(RequestContextMiddleware)
    app.add_exception_handler(Problem, _handle_problem)
    app.add_exception_handler(HTTPException, _handle_http_exception)
    return app


async def _handle_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - what it is registered for
    return problem_response(error, request.scope)


async def _handle_http_exception(request: Request, error: Exception) -> Response:
    """Turn the framework's own errors into problems."""
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    path = request.url.path
    problem: Problem
    match error.status_code:
        case 404:
            problem = NotFound(f"There is nothing at {path}. GET /docs lists all paths.")
        case 405:
            allowed = (error.headers or {}).get("Allow", "")
            problem = MethodNotAllowed(
                f"{path} does not allow {request.method}. Allowed: {allowed}."
            )
        case status if status < 500:
            problem = InvalidRequest(str(error.detail))
        case _:
            problem = InternalError(str(error.detail))
    response = problem_response(problem, request.scope)
    response.headers.update(error.headers or {})  # `Allow` of a 405
    return response
