"""OpenAI's API: chat completions and models, on the same pipeline as the tasks."""

from datetime import datetime
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from app.context import context_of
from app.errors import ModelNotFound
from app.images.sources import check_image_count, image_from_text
from app.pipeline.pipeline import Pipeline
from app.problems import OPENAI
from app.routes.admission import admit, get_fetcher
from app.routes.body import read_json_body, validate_fields
from app.routes.direct import DirectRoute
from app.routes.openai.encoders import ChatChunkEncoder, ChatCompletionEncoder
from app.routes.openai.request_schema import ChatBody
from app.routes.openai.response_schema import ChatCompletion, ModelEntry, ModelList
from app.routes.openapi import body_schema, problem_responses, sse_content
from app.routes.response import AnswerResponse
from app.tasks.chat import TASK


class OpenAiRoute(APIRoute):
    """A route of OpenAI's API: its problems are OpenAI's error objects."""

    problem_format = OPENAI


class OpenAiDirectRoute(DirectRoute, OpenAiRoute):
    """A route of OpenAI's API whose endpoint parses the request itself."""


router = APIRouter(tags=["OpenAI-compatible"], route_class=OpenAiRoute)

REQUEST_BODY = {
    "required": True,
    "content": {"application/json": {"schema": body_schema(ChatBody)}},
}
STREAM_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": sse_content()}}
}


async def chat_completions(request: Request) -> Response:
    pipeline: Pipeline = request.app.state.pipeline
    context = context_of(request.scope)
    context.task = TASK.name
    upload = admit(request, context)
    body = validate_fields(
        ChatBody, await read_json_body(request, upload, pipeline.settings.max_body_mb)
    )
    chat_request, sources = body.to_chat_request()
    check_image_count(len(sources), pipeline.settings.max_images)
    fetcher = get_fetcher(request, upload)
    images = [await image_from_text(source, at, fetcher) for at, source in enumerate(sources)]
    include_usage = bool(body.stream_options and body.stream_options.include_usage)
    encoder = ChatChunkEncoder(include_usage) if body.stream else ChatCompletionEncoder()
    event_source = partial(pipeline.run, TASK, chat_request, images, context)
    return AnswerResponse(event_source, encoder, context)


router.add_api_route(
    "/v1/chat/completions",
    chat_completions,
    methods=["POST"],
    summary="Chat with images",
    response_model=ChatCompletion,
    responses=STREAM_RESPONSES
    | problem_responses(400, 403, 404, 408, 413, 415, 422, 429, 502, 503, 504),
    openapi_extra={"requestBody": REQUEST_BODY},
    route_class_override=OpenAiDirectRoute,
)


@router.get(
    "/v1/models",
    summary="The models that the server offers",
    response_model=ModelList,
    responses=problem_responses(502, 503, 504),
)
async def models(request: Request) -> dict[str, Any]:
    pipeline: Pipeline = request.app.state.pipeline
    return {
        "object": "list",
        "data": [_model_object(tag) for tag in await pipeline.registry.served_models()],
    }


@router.get(
    "/v1/models/{name:path}",
    summary="One model",
    response_model=ModelEntry,
    responses=problem_responses(404, 502, 503, 504),
)
async def model(request: Request, name: str) -> dict[str, Any]:
    pipeline: Pipeline = request.app.state.pipeline
    found = await pipeline.registry.find(name)
    for tag in await pipeline.registry.served_models():
        if _model_name(tag) == found.name.removesuffix(":latest"):
            return _model_object(tag)
    raise ModelNotFound(f"{name} is not installed.")


def _model_name(tag: dict[str, Any]) -> str:
    return str(tag.get("name", "")).removesuffix(":latest")


def _model_object(tag: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's model object; `created` is Unix time in seconds."""
    try:
        created = int(datetime.fromisoformat(str(tag.get("modified_at"))).timestamp())
    except ValueError:
        created = 0
    return {"id": _model_name(tag), "object": "model", "created": created, "owned_by": "ollama"}
