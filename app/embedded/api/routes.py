"""Ollama's HTTP API, as far as one model that is always there needs it."""

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
from app.embedded.api import chat_request, chat_response, go_json, model_info
from app.embedded.api.chat import chat
from app.embedded.api.chat_request import ChatRequest
from app.embedded.api.errors import ProtocolError
from app.embedded.engine import Engine
from app.embedded.weights import WeightsError

NDJSON = "application/x-ndjson"
JSON = "application/json; charset=utf-8"
DIGEST = weights.RECOGNISER
STARTED = chat_response.now()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Loads the models while the first requests for the version are answered."""
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
    return _json({"models": [model_info.model_entry(DIGEST, weights.SIZE, modified_at=STARTED)]})


@app.get("/api/ps")
async def ps(request: Request) -> Response:
    if not request.app.state.engine.loaded:
        return _json({"models": []})
    more = {"expires_at": model_info.NEVER, "size_vram": 0}
    return _json({"models": [model_info.model_entry(DIGEST, weights.SIZE, **more)]})


@app.post("/api/show")
async def show(request: Request) -> Response:
    chat_request.known_model(go_json.parse(await request.body(), "ShowRequest"))
    return _json(model_info.show(STARTED))


@app.post("/api/chat")
async def chat_route(request: Request) -> Response:
    engine: Engine = request.app.state.engine
    asked = chat_request.chat_request(await request.body())
    if asked.unload:
        engine.unload()
        return _json(chat_response.done(asked.model, "", "unload"))
    if asked.load:
        await engine.load()
        return _json(chat_response.done(asked.model, "", "load"))
    if asked.stream:
        return StreamingResponse(_lines(asked, engine), media_type=NDJSON)
    return await _unless_gone(request, _whole(asked, engine))


async def _lines(asked: ChatRequest, engine: Engine) -> AsyncIterator[bytes]:
    """The stream; once it has begun, an error is a line of it."""
    try:
        async with aclosing(chat(asked, engine)) as answer:
            async for line in answer:
                yield _bytes(line) + b"\n"
    except (ProtocolError, WeightsError) as error:
        yield _bytes({"error": str(error)}) + b"\n"


async def _whole(asked: ChatRequest, engine: Engine) -> Response:
    text, last = "", {}
    async with aclosing(chat(asked, engine)) as answer:
        async for last in answer:
            text += last["message"]["content"]
    last["message"]["content"] = text
    return _json(last)


async def _unless_gone(request: Request, work: Awaitable[Response]) -> Response:
    """The work's response; the work is cancelled when the client disconnects."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
            with suppress(asyncio.CancelledError, ProtocolError, WeightsError):
                await task
    return Response(status_code=499)  # nobody reads it


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


@app.exception_handler(ProtocolError)
async def refused(_request: Request, error: ProtocolError) -> Response:
    return refusal(error)


def refusal(error: ProtocolError) -> Response:
    """As Ollama's."""
    return _json({"error": str(error)}, error.status)


@app.exception_handler(WeightsError)
async def not_loaded(_request: Request, error: WeightsError) -> Response:
    return _json({"error": str(error)}, 500)


@app.exception_handler(RecursionError)
async def too_deep(_request: Request, _error: RecursionError) -> Response:
    return refusal(ProtocolError(400, go_json.TOO_DEEP))


@app.exception_handler(HTTPException)
async def no_route(_request: Request, error: HTTPException) -> Response:
    """As gin, Ollama's router, says it."""
    text = {404: "404 page not found", 405: "405 method not allowed"}
    return PlainTextResponse(text.get(error.status_code, error.detail), error.status_code)


def _json(value: dict[str, Any], status: int = 200) -> Response:
    return Response(_bytes(value), status, media_type=JSON)


def _bytes(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
