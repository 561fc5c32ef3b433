"""The task routes: one for each task, all built alike."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.context import context_of
from app.routes.answer import AnswerResponse
from app.routes.body import read_task
from app.routes.caller import admit, fetcher_of
from app.routes.direct import DirectRoute
from app.routes.document import TEXT, body_schema, events, problems
from app.routes.forms import ERROR, NAMES, choose
from app.schemas import Answer, TaskRequest
from app.tasks import describe, detect, extract, ocr, vqa
from app.tasks.run import Line
from app.tasks.task import Task

TASKS = (describe.TASK, ocr.TASK, vqa.TASK, extract.TASK, detect.TASK)
IMAGE = "An image or document, or several: JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC, PDF"
STATUSES = (400, 403, 404, 408, 413, 415, 422, 429, 502, 503, 504)
# The response formats beside JSON (`app.routes.forms`).
STREAMS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/event-stream": events(*NAMES.values(), ERROR),
            "application/x-ndjson": {"schema": TEXT},
            "text/plain": {"schema": TEXT},
        }
    }
}


def _request_body(model: type[TaskRequest], max_images: int) -> dict[str, Any]:
    """The OpenAPI description of a body that is a form or JSON, with the same fields."""
    schema = body_schema(model)
    required = ["image", *schema.get("required", [])]

    def with_image(image: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
        properties = {"image": {"description": IMAGE, **image}, **properties}
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


def _add(router: APIRouter, task: Task, max_images: int) -> None:
    async def endpoint(request: Request) -> Response:
        line: Line = request.app.state.line
        context = context_of(request.scope)
        context.task = task.name
        upload = admit(request, context)
        fetcher = fetcher_of(request, upload)
        fields, images = await read_task(request, upload, task.request, line.settings, fetcher)
        form = choose(fields.stream, request.headers.get("accept", ""))
        work = partial(line.run, task, fields, images, context)
        return AnswerResponse(work, form, context)

    router.add_api_route(
        f"/v1/{task.name}",
        endpoint,
        methods=["POST"],
        name=task.name,
        summary=task.summary,
        description=task.request.__doc__,
        response_model=Answer,
        responses=STREAMS | problems(*STATUSES),
        openapi_extra={"requestBody": _request_body(task.request, max_images)},
        tags=["tasks"],
    )


def router(max_images: int) -> APIRouter:
    """The routes of all tasks; OpenAPI states `max_images`."""
    made = APIRouter(route_class=DirectRoute)
    for task in TASKS:
        _add(made, task, max_images)
    return made
