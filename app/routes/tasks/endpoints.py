"""The task routes: one for each task, all built alike."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.context import context_of
from app.pipeline.pipeline import Pipeline
from app.routes.admission import admit, get_fetcher
from app.routes.body import read_task_request
from app.routes.direct import DirectRoute
from app.routes.encoders import ERROR_EVENT, EVENT_NAMES, negotiate
from app.routes.openapi import STRING_SCHEMA, body_schema, problem_responses, sse_content
from app.routes.response import AnswerResponse
from app.schemas import Answer, TaskRequest
from app.tasks import describe, detect, extract, ocr, vqa
from app.tasks.task import Task

TASKS = (describe.TASK, ocr.TASK, vqa.TASK, extract.TASK, detect.TASK)
IMAGE_DESCRIPTION = (
    "An image or document, or several: JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC, PDF"
)
PROBLEM_STATUSES = (400, 403, 404, 408, 413, 415, 422, 429, 502, 503, 504)
# The response formats beside JSON (`app.routes.encoders`).
STREAM_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/event-stream": sse_content(*EVENT_NAMES.values(), ERROR_EVENT),
            "application/x-ndjson": {"schema": STRING_SCHEMA},
            "text/plain": {"schema": STRING_SCHEMA},
        }
    }
}


def _request_body(model: type[TaskRequest], max_images: int) -> dict[str, Any]:
    """The OpenAPI description of a body that is a form or JSON, with the same fields."""
    schema = body_schema(model)
    required = ["image", *schema.get("required", [])]

    def with_image(image: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
        properties = {"image": {"description": IMAGE_DESCRIPTION, **image}, **properties}
        return {"schema": {**schema, "properties": properties, "required": required}}

    def several(image: dict[str, Any]) -> dict[str, Any]:
        return {"type": "array", "minItems": 1, "maxItems": max_images, "items": image}

    fields = schema["properties"]
    text = {
        "type": "string",
        "minLength": 1,
        "description": "A data URI, bare base64 or (if allowed) a URL",
    }
    return {
        "required": True,
        "content": {
            "multipart/form-data": with_image(
                several({"type": "string", "format": "binary"}),
                {name: _without_null(field) for name, field in fields.items()},
            ),
            "application/json": with_image({"anyOf": [text, several(text)]}, fields),
        },
    }


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """Without null: an optional form field is left out or empty."""
    kinds = [kind for kind in field.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return field
    rest = {name: value for name, value in field.items() if name not in ("anyOf", "default")}
    return {**kinds[0], **rest}


def _add_task_route(router: APIRouter, task: Task, max_images: int) -> None:
    async def endpoint(request: Request) -> Response:
        pipeline: Pipeline = request.app.state.pipeline
        context = context_of(request.scope)
        context.task = task.name
        upload = admit(request, context)
        fetcher = get_fetcher(request, upload)
        fields, images = await read_task_request(
            request, upload, task.request, pipeline.settings, fetcher
        )
        encoder = negotiate(fields.stream, request.headers.get("accept", ""))
        # `AnswerResponse` runs it when it is sent.
        event_source = partial(pipeline.run, task, fields, images, context)
        return AnswerResponse(event_source, encoder, context)

    router.add_api_route(
        f"/v1/{task.name}",
        endpoint,
        methods=["POST"],
        name=task.name,
        summary=task.summary,
        description=task.request.__doc__,
        response_model=Answer,
        responses=STREAM_RESPONSES | problem_responses(*PROBLEM_STATUSES),
        openapi_extra={"requestBody": _request_body(task.request, max_images)},
        tags=["tasks"],
    )


def router(max_images: int) -> APIRouter:
    """The routes of all tasks; OpenAPI states `max_images`."""
    task_router = APIRouter(route_class=DirectRoute)
    for task in TASKS:
        _add_task_route(task_router, task, max_images)
    return task_router
