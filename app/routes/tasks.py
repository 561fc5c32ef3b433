"""The task endpoints: one route a task, all alike."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from app.routes.answer import AnswerResponse
from app.routes.body import read_task
from app.routes.caller import admit
from app.routes.forms import choose
from app.schemas import Answer, ProblemBody, TaskRequest
from app.tasks import describe, detect, extract, ocr, vqa
from app.tasks.run import Line
from app.tasks.task import Task

TASKS = (describe.TASK, ocr.TASK, vqa.TASK, extract.TASK, detect.TASK)
IMAGE = "An image or document, or several: JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC, PDF"
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemBody, "content": {"application/problem+json": {}}}
    for status in (400, 404, 413, 415, 422, 429, 502, 503, 504)
}


def _request_body(model: type[TaskRequest]) -> dict[str, Any]:
    """The OpenAPI text of a body that is a form or JSON, with the same fields in both."""
    schema = model.model_json_schema()
    schema = _inlined(schema, schema.pop("$defs", {}))
    required = ["image", *schema.get("required", [])]

    def with_image(image: dict[str, Any]) -> dict[str, Any]:
        image = {"description": IMAGE, "type": "array", "minItems": 1, "items": image}
        properties = {"image": image, **schema["properties"]}
        return {"schema": {**schema, "properties": properties, "required": required}}

    return {
        "required": True,
        "content": {
            "multipart/form-data": with_image({"type": "string", "format": "binary"}),
            "application/json": with_image(
                {"type": "string", "description": "A data URI or bare base64"}
            ),
        },
    }


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema with its definitions in their places: a body has no list of them to point to."""
    if isinstance(schema, list):
        return [_inlined(value, definitions) for value in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        found = definitions[reference.rpartition("/")[2]]
        return _inlined({**found, **{k: v for k, v in schema.items() if k != "$ref"}}, definitions)
    return {name: _inlined(value, definitions) for name, value in schema.items()}


class Bare(APIRoute):
    """A route whose endpoint reads the request itself: nothing is resolved before it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint


def _add(router: APIRouter, task: Task) -> None:
    async def endpoint(request: Request) -> Response:
        line: Line = request.app.state.line
        request.state.task = task.name
        caller = await admit(request)
        most_mb, fetcher = line.settings.max_body_mb, request.app.state.fetcher
        fields, images = await read_task(request, task.request, most_mb, fetcher)
        form = choose(fields.stream, request.headers.get("accept", ""))
        return AnswerResponse(line.run(task, fields, images, caller), form, caller.request_id)

    router.add_api_route(
        f"/v1/{task.name}",
        endpoint,
        methods=["POST"],
        name=task.name,
        summary=task.summary,
        description=task.request.__doc__,
        response_model=Answer,
        responses=PROBLEMS,
        openapi_extra={"requestBody": _request_body(task.request)},
        tags=["tasks"],
    )


def router() -> APIRouter:
    """The routes of all tasks."""
    made = APIRouter(route_class=Bare)
    for task in TASKS:
        _add(made, task)
    return made
