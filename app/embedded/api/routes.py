"""The routes of Ollama's HTTP API that a client of one fixed model needs."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.exceptions import HTTPException

from app.embedded import weights
from app.embedded.api import chat_response, go_json, model_info
from app.embedded.api.chat import stream_chat
from app.embedded.api.chat_request import ChatRequest, parse_chat_request, requested_model
from app.embedded.api.errors import ApiError
from app.embedded.engine import Engine
from app.embedded.weights import WeightsError

NDJSON = "application/x-ndjson"
JSON = "application/json; charset=utf-8"
DIGEST = weights.PPOCR_RECOGNISER_SHA256
STARTED = chat_response.timestamp()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Loads the models in the background; `/api/version` answers meanwhile."""
    app.state.engine = engine = Engine()
    loading = asyncio.create_task(_load(engine))
    yield
    loading.cancel()
    engine.close()


async def _load(engine: Engine) -> None:
    try:
        await engine.load()
    except WeightsError as error:
        print(f"The models cannot be loaded: {error}", file=sys.stderr)  # noqa: T201


app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)


@app.api_route("/", methods=["GET", "HEAD"])
async def root() -> Response:
    return PlainTextResponse("Ollama is running")


@app.api_route("/api/version", methods=["GET", "HEAD"])
async def version() -> Response:
    return _json({"version": model_info.VERSION})


@app.api_route("/api/tags", methods=["GET", "HEAD"])
async def tags() -> Response:
    return _json(
        {"models": [model_info.model_entry(DIGEST, weights.TOTAL_BYTES, modified_at=STARTED)]}
    )


@app.get("/api/ps")
async def ps(request: Request) -> Response:
    if not request.app.state.engine.loaded:
        return _json({"models": []})
    more = {"expires_at": model_info.NEVER_EXPIRES, "size_vram": 0}
    return _json({"models": [model_info.model_entry(DIGEST, weights.TOTAL_BYTES, **more)]})


@app.post("/api/show")
async def show(request: Request) -> Response:
    requested_model(go_json.parse_object(await request.body(), "ShowRequest"))
    return _json(model_info.show_response(STARTED))


@app.post("/api/chat")
async def chat(request: Request) -> Response:
    engine: Engine = request.app.state.engine
    chat_request = parse_chat_request(await request.body())
    if chat_request.unload:
        engine.unload()
        return _json(chat_response.final_chunk(chat_request.model, "", "unload"))
    if chat_request.load:
        await engine.load()
        return _json(chat_response.final_chunk(chat_request.model, "", "load"))
    if chat_request.stream:
        return StreamingResponse(_ndjson(chat_request, engine), media_type=NDJSON)
    return await _cancel_on_disconnect(request, _collected(chat_request, engine))


async def _ndjson(request: ChatRequest, engine: Engine) -> AsyncIterator[bytes]:
    """The answer as NDJSON. After the stream has begun, an error is sent as a line."""
    try:
        async with aclosing(stream_chat(request, engine)) as answer:
            async for line in answer:
                yield _encode(line) + b"\n"
    except (ApiError, WeightsError) as error:
        yield _encode({"error": str(error)}) + b"\n"


async def _collected(request: ChatRequest, engine: Engine) -> Response:
    text, last = "", {}
    async with aclosing(stream_chat(request, engine)) as answer:
        async for last in answer:
            text += last["message"]["content"]
    last["message"]["content"] = text
    return _json(last)


async def _cancel_on_disconnect(request: Request, work: Awaitable[Response]) -> Response:
    """Awaits the response, and cancels the work if the client disconnects."""
    response = asyncio.ensure_future(work)
    disconnect = asyncio.ensure_future(_wait_for_disconnect(request))
    try:
        await asyncio.wait((response, disconnect), return_when=asyncio.FIRST_COMPLETED)
        if response.done():
            return response.result()
    finally:
        for task in (response, disconnect):
            task.cancel()
            with suppress(asyncio.CancelledError, ApiError, WeightsError):
                await task
    return Response(status_code=499)  # the client is disconnected


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


@app.exception_handler(ApiError)
async def handle_api_error(_request: Request, error: ApiError) -> Response:
    return error_response(error)


def error_response(error: ApiError) -> Response:
    """An error in Ollama's format."""
    return _json({"error": str(error)}, error.status)


@app.exception_handler(WeightsError)
async def handle_weights_error(_request: Request, error: WeightsError) -> Response:
    return _json({"error": str(error)}, 500)


@app.exception_handler(RecursionError)
async def handle_recursion_error(_request: Request, _error: RecursionError) -> Response:
    return error_response(ApiError(400, go_json.NESTING_ERROR))


@app.exception_handler(HTTPException)
async def handle_http_error(_request: Request, error: HTTPException) -> Response:
    """404 and 405 in the words of gin, Ollama's router."""
    text = {404: "404 page not found", 405: "405 method not allowed"}
    return PlainTextResponse(text.get(error.status_code, error.detail), error.status_code)


def _json(value: dict[str, Any], status: int = 200) -> Response:
    return Response(_encode(value), status, media_type=JSON)


def _encode(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
