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

from app import __version__, heap, logs, traces
from app.auth import OPEN, KeyCheck
from app.engine.gate import Gate
from app.engine.ollama import Ollama
from app.engine.registry import Registry, Room
from app.errors import InternalError, InvalidRequest, MethodNotAllowed, NotFound, Problem
from app.fast_path import FastPathMiddleware
from app.images.decoder import Decoder
from app.images.fetch import Fetcher
from app.images.picture import Limits
from app.metrics import Metrics
from app.middleware import Envelope
from app.models.gpu import look
from app.problems import declared_formats, problem_response
from app.rates import Rates
from app.routes import document, openai, ops, page, tasks
from app.routes.direct import DirectRoute
from app.settings import Settings
from app.tasks.cache import Answers
from app.tasks.canary import Canary
from app.tasks.run import Line
from app.uploads import Uploads


def create_app(settings: Settings | None = None) -> FastAPI:
    """Create the server; settings come from the environment unless given."""
    settings = settings or Settings()
    logs.configure(settings.log_format)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        ollama = Ollama(settings.ollama_host)
        gpus = await asyncio.to_thread(look, settings.ollama_host)
        room = Room(settings.num_ctx, gpus, settings.num_parallel, settings.kv_cache_type)
        gate = Gate(settings.num_parallel, settings.max_queue)
        registry = Registry(
            ollama,
            settings.model_name,
            settings.allowed,
            room,
            allow_cloud=settings.allow_cloud_models,
            on_slots=gate.resize,
        )
        decoder = Decoder(
            Limits(settings.max_image_megapixels, settings.max_pages),
            settings.decode_timeout_s,
            settings.decode_memory_mb,
        )
        decoder.start()
        app.state.metrics = Metrics(gate, registry.faults)
        app.state.spans = spans = traces.from_environment(os.environ)
        app.state.rates = Rates(settings.rate_limit)
        app.state.uploads = Uploads(int(settings.uploads_max_mb * 1e6))
        answers = Answers(int(settings.cache_mb * 1e6))
        app.state.line = Line(settings, registry, decoder, gate, ollama, answers)
        fetcher = Fetcher(int(settings.max_body_mb * 1e6)) if settings.allow_url_fetch else None
        app.state.fetcher = fetcher
        background = [asyncio.create_task(heap.keep_small())]
        if settings.canary:
            background.append(asyncio.create_task(Canary(app.state.line).watch()))
        yield
        for task in background:
            task.cancel()
        if fetcher:
            await fetcher.aclose()
        decoder.close()
        await ollama.aclose()
        if spans:
            await asyncio.to_thread(spans.close)

    # FastAPI whose /docs loads its scripts from this server, so that it works without internet.
    app = FastAPIOffline(
        title="Qwen3-VL server",
        summary="Describe images, read them, ask about them",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,  # a redirect would use the client's `Host`
        telemetry={"tracing": False, "metrics": False, "logs": False},  # see `app.traces`
    )
    asked = tasks.router(settings.max_images)
    app.include_router(asked)
    app.include_router(openai.router)
    app.include_router(ops.router)
    app.include_router(page.router)
    app.state.problem_formats = declared_formats(app.routes)
    open_paths = OPEN | {"/metrics"} if settings.allow_anonymous_metrics else OPEN
    document.complete(app, bool(settings.keys), open_paths, app.state.problem_formats)
    # FastAPI's router, its exit stacks and exception handlers take 7 to 12 % of the CPU time of a
    # request (40 % of a refused one), and nothing of what they do is needed for these routes.
    # `tests/integration/test_fast_path.py` holds that both ways answer alike.
    every_route = (*asked.routes, *openai.router.routes)
    direct = [route for route in every_route if isinstance(route, DirectRoute)]
    app.add_middleware(FastPathMiddleware, routes=direct)
    app.add_middleware(KeyCheck, keys=settings.keys, open_paths=open_paths)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["X-Request-ID", "Server-Timing", "Retry-After"],
        )
    app.add_middleware(Envelope)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http_problem)
    return app


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - what it is registered for
    return problem_response(error, request.scope)


async def _http_problem(request: Request, error: Exception) -> Response:
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
