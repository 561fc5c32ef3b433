"""OpenAI's API: chat completions and models, on the same pipeline as the tasks."""

from datetime import datetime
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from app.context import context_of
from app.errors import ModelNotFound
from app.images.intake import check_number, from_text
from app.problems import OPENAI
from app.routes.answer import AnswerResponse
from app.routes.body import checked, json_body
from app.routes.caller import admit, fetcher_of
from app.routes.chat_answer import ChatCompletion, ModelEntry, ModelList
from app.routes.chat_body import ChatBody
from app.routes.chat_forms import Chunks, Completion
from app.routes.direct import DirectRoute
from app.routes.document import body_schema, events, problems
from app.tasks.chat import TASK
from app.tasks.run import Line


class OpenAiRoute(APIRoute):
    """A route of OpenAI's API: its problems are OpenAI's error objects."""

    problem_format = OPENAI


class OpenAiDirectRoute(DirectRoute, OpenAiRoute):
    """A route of OpenAI's API whose endpoint parses the request itself."""


router = APIRouter(tags=["OpenAI-compatible"], route_class=OpenAiRoute)

BODY = {"required": True, "content": {"application/json": {"schema": body_schema(ChatBody)}}}
CHUNKS: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": events()}}}


async def chat_completions(request: Request) -> Response:
    line: Line = request.app.state.line
    context = context_of(request.scope)
    context.task = TASK.name
    upload = admit(request, context)
    body = checked(ChatBody, await json_body(request, upload, line.settings.max_body_mb))
    asked, sources = body.conversation()
    check_number(len(sources), line.settings.max_images)
    fetcher = fetcher_of(request, upload)
    images = [await from_text(source, at, fetcher) for at, source in enumerate(sources)]
    counted = bool(body.stream_options and body.stream_options.include_usage)
    form = Chunks(counted) if body.stream else Completion()
    work = partial(line.run, TASK, asked, images, context)
    return AnswerResponse(work, form, context)


router.add_api_route(
    "/v1/chat/completions",
    chat_completions,
    methods=["POST"],
    summary="Chat with images",
    response_model=ChatCompletion,
    responses=CHUNKS | problems(400, 403, 404, 408, 413, 415, 422, 429, 502, 503, 504),
    openapi_extra={"requestBody": BODY},
    route_class_override=OpenAiDirectRoute,
)


@router.get(
    "/v1/models",
    summary="The models that the server offers",
    response_model=ModelList,
    responses=problems(502, 503, 504),
)
async def models(request: Request) -> dict[str, Any]:
    line: Line = request.app.state.line
    return {"object": "list", "data": [_model(tag) for tag in await line.registry.served()]}


@router.get(
    "/v1/models/{name:path}",
    summary="One model",
    response_model=ModelEntry,
    responses=problems(404, 502, 503, 504),
)
async def model(request: Request, name: str) -> dict[str, Any]:
    line: Line = request.app.state.line
    found = await line.registry.find(name)
    for tag in await line.registry.served():
        if _name(tag) == found.name.removesuffix(":latest"):
            return _model(tag)
    raise ModelNotFound(f"{name} is not installed.")


def _name(tag: dict[str, Any]) -> str:
    return str(tag.get("name", "")).removesuffix(":latest")


def _model(tag: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's model object; `created` is Unix time in seconds."""
    try:
        created = int(datetime.fromisoformat(str(tag.get("modified_at"))).timestamp())
    except ValueError:
        created = 0
    return {"id": _name(tag), "object": "model", "created": created, "owned_by": "ollama"}
