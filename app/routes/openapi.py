"""Completes the OpenAPI document with what all operations have in common.

Routes declare the statuses that they answer with. The schema of a problem, the common headers and
the security requirement follow from the path and its route.
"""

from collections.abc import Container
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from app.problems import OPENAI, RFC_9457, DeclaredFormats, ProblemFormat, format_of_path
from app.routes.openai.response_schema import ErrorBody
from app.schemas import ProblemBody

Schema = dict[str, Any]

SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
RESPONSE_HEADERS = {
    "X-Request-ID": {
        "description": "The `X-Request-ID` of the request if it is valid, else a new id",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
    },
    "Server-Timing": {
        "description": "Milliseconds per stage",
        "required": True,
        "schema": {"type": "string", "pattern": "dur="},
    },
    "Retry-After": {
        "description": "Seconds until the next attempt",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
}
COMMON_HEADERS = ("X-Request-ID", "Server-Timing")
PROBLEM_MODELS: dict[ProblemFormat, type[BaseModel]] = {RFC_9457: ProblemBody, OPENAI: ErrorBody}
STRING_SCHEMA: Schema = {"type": "string"}


def sse_content(*names: str) -> dict[str, Any]:
    """The schema of server-sent events with these names (unnamed without any), whose data is a JSON
    object. `itemSchema` is of OpenAPI 3.2; readers of 3.1 ignore it."""
    named: Schema = {"event": {**STRING_SCHEMA, "enum": list(names)}} if names else {}
    data = {**STRING_SCHEMA, "contentMediaType": "application/json"}
    item = {"type": "object", "properties": {**named, "data": data}, "required": [*named, "data"]}
    return {"itemSchema": item}


RETRYABLE_STATUSES = ("429", "503")


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problem statuses of a route, without 401 and 500, which are added to all."""
    return {status: {} for status in statuses}


def body_schema(model: type[BaseModel]) -> Schema:
    """The schema of a body that the endpoint parses itself, with its definitions inlined, since the
    document has no place for them."""
    schema = model.model_json_schema()
    whole: Schema = _nullable(_inline_references(schema, schema.pop("$defs", {})))
    return whole


def _nullable(schema: Any) -> Any:
    """Add null to every optional field: null means absent."""
    if isinstance(schema, list):
        return [_nullable(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: _nullable(value) for name, value in schema.items()}
    fields = schema.get("properties")
    if schema.get("type") == "object" and isinstance(fields, dict):
        needed = schema.get("required", [])
        schema["properties"] = {
            name: field if name in needed else _nullable_field(field)
            for name, field in fields.items()
        }
    return schema


def _nullable_field(field: Schema) -> Schema:
    null = {"type": "null"}
    if null in field.get("anyOf", []) or not field.keys() - {"title", "description", "default"}:
        return field
    told = {name: value for name, value in field.items() if name in ("description", "default")}
    bare = {name: value for name, value in field.items() if name not in told}
    kinds = bare["anyOf"] if bare.keys() == {"anyOf"} else [bare]
    return {"anyOf": [*kinds, null], **told}


def _inline_references(schema: Any, definitions: Schema) -> Any:
    if isinstance(schema, list):
        return [_inline_references(value, definitions) for value in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        found = definitions[reference.rpartition("/")[2]]
        return _inline_references(
            {**found, **{k: v for k, v in schema.items() if k != "$ref"}}, definitions
        )
    return {name: _inline_references(value, definitions) for name, value in schema.items()}


def install_openapi(
    app: FastAPI, requires_key: bool, public_paths: Container[str], formats: DeclaredFormats
) -> None:
    """Wrap `app.openapi` to complete the document.

    Args:
        public_paths: paths that never require a key.
        formats: problem formats by path.
    """
    make = app.openapi

    def openapi() -> Schema:
        document = make()
        if "headers" not in document["components"]:  # FastAPI caches the document
            _complete_document(document, requires_key, public_paths, formats)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _complete_document(
    document: Schema, requires_key: bool, public_paths: Container[str], formats: DeclaredFormats
) -> None:
    components = document["components"]
    components["headers"] = RESPONSE_HEADERS
    for model in PROBLEM_MODELS.values():
        components["schemas"][model.__name__] = body_schema(model)
    if requires_key:
        components["securitySchemes"] = SECURITY_SCHEMES
    for path, operations in document["paths"].items():
        for operation in operations.values():
            more = [500]
            if requires_key and path not in public_paths:
                more.append(401)
                operation["security"] = [{name: []} for name in SECURITY_SCHEMES]
            form = format_of_path(path, formats)
            _complete_responses(operation["responses"], form, more)


def _complete_responses(responses: Schema, form: ProblemFormat, more: list[int]) -> None:
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]  # FastAPI's own; the routes declare theirs
    responses |= {str(status): {} for status in more}
    for status, response in responses.items():
        after = ("Retry-After",) if status in RETRYABLE_STATUSES else ()
        response["headers"] = {
            name: {"$ref": f"#/components/headers/{name}"} for name in COMMON_HEADERS + after
        }
        if status >= "400":
            schema = {"$ref": f"#/components/schemas/{PROBLEM_MODELS[form].__name__}"}
            response["content"] = {form.media_type: {"schema": schema}}
            response.setdefault("description", "")
