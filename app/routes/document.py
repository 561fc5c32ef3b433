"""The OpenAPI document: what holds for every operation is said here, once.

The routes name the statuses they answer with; which object comes with a problem, which headers
come with every answer and where a key is wanted follows from the path and its route.
"""

from collections.abc import Container
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from app.problems import OPENAI, RFC_9457, DeclaredFormats, ProblemFormat, format_of_path
from app.routes.chat_answer import ErrorBody
from app.schemas import ProblemBody

Schema = dict[str, Any]

KEYS = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
HEADERS = {
    "X-Request-ID": {
        "description": "The request's own where it was one word, else a new one",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
    },
    "Server-Timing": {
        "description": "Milliseconds a stage",
        "required": True,
        "schema": {"type": "string", "pattern": "dur="},
    },
    "Retry-After": {
        "description": "Seconds after which another try is worth it",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
}
ALWAYS = ("X-Request-ID", "Server-Timing")
PROBLEM_MODELS: dict[ProblemFormat, type[BaseModel]] = {RFC_9457: ProblemBody, OPENAI: ErrorBody}
TEXT: Schema = {"type": "string"}


def events(*names: str) -> dict[str, Any]:
    """Server-sent events of these names, each with an object's JSON as its data; without names
    all are nameless. `itemSchema` is OpenAPI 3.2's, which readers of 3.1 pass over."""
    named: Schema = {"event": {**TEXT, "enum": list(names)}} if names else {}
    data = {**TEXT, "contentMediaType": "application/json"}
    item = {"type": "object", "properties": {**named, "data": data}, "required": [*named, "data"]}
    return {"itemSchema": item}


AFTER_A_WHILE = ("429", "503")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route: the problems it may answer with. 401 and 500 need not be named."""
    return {status: {} for status in statuses}


def body_schema(model: type[BaseModel]) -> Schema:
    """The schema of a body that the endpoint reads itself, with its definitions in their places:
    there is no list of them to point to."""
    schema = model.model_json_schema()
    whole: Schema = _nullable(_inlined(schema, schema.pop("$defs", {})))
    return whole


def _nullable(schema: Any) -> Any:
    """With null as a value of every field that may be absent: it means the same."""
    if isinstance(schema, list):
        return [_nullable(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: _nullable(value) for name, value in schema.items()}
    fields = schema.get("properties")
    if schema.get("type") == "object" and isinstance(fields, dict):
        needed = schema.get("required", [])
        schema["properties"] = {
            name: field if name in needed else _or_null(field) for name, field in fields.items()
        }
    return schema


def _or_null(field: Schema) -> Schema:
    null = {"type": "null"}
    if null in field.get("anyOf", []) or not field.keys() - {"title", "description", "default"}:
        return field
    told = {name: value for name, value in field.items() if name in ("description", "default")}
    bare = {name: value for name, value in field.items() if name not in told}
    kinds = bare["anyOf"] if bare.keys() == {"anyOf"} else [bare]
    return {"anyOf": [*kinds, null], **told}


def _inlined(schema: Any, definitions: Schema) -> Any:
    if isinstance(schema, list):
        return [_inlined(value, definitions) for value in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        found = definitions[reference.rpartition("/")[2]]
        return _inlined({**found, **{k: v for k, v in schema.items() if k != "$ref"}}, definitions)
    return {name: _inlined(value, definitions) for name, value in schema.items()}


def complete(
    app: FastAPI, wants_key: bool, open_paths: Container[str], formats: DeclaredFormats
) -> None:
    """Have the document of an app say it all.

    Args:
        open_paths: that want no key in any case.
        formats: of the problems, by path.
    """
    make = app.openapi

    def openapi() -> Schema:
        document = make()
        if "headers" not in document["components"]:  # it is made once, and kept
            _complete(document, wants_key, open_paths, formats)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(
    document: Schema, wants_key: bool, open_paths: Container[str], formats: DeclaredFormats
) -> None:
    components = document["components"]
    components["headers"] = HEADERS
    for model in PROBLEM_MODELS.values():
        components["schemas"][model.__name__] = body_schema(model)
    if wants_key:
        components["securitySchemes"] = KEYS
    for path, operations in document["paths"].items():
        for operation in operations.values():
            more = [500]
            if wants_key and path not in open_paths:
                more.append(401)
                operation["security"] = [{name: []} for name in KEYS]
            form = format_of_path(path, formats)
            _complete_responses(operation["responses"], form, more)


def _complete_responses(responses: Schema, form: ProblemFormat, more: list[int]) -> None:
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]  # the framework's own; ours are told by the routes
    responses |= {str(status): {} for status in more}
    for status, response in responses.items():
        after = ("Retry-After",) if status in AFTER_A_WHILE else ()
        response["headers"] = {
            name: {"$ref": f"#/components/headers/{name}"} for name in ALWAYS + after
        }
        if status >= "400":
            schema = {"$ref": f"#/components/schemas/{PROBLEM_MODELS[form].__name__}"}
            response["content"] = {form.media_type: {"schema": schema}}
            response.setdefault("description", "")
