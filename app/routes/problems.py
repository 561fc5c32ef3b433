"""Problems as HTTP answers, in the shape that a client of the path expects."""

from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Scope

from app.errors import Problem

OPENAI = ("/v1/chat/", "/v1/models")


def problem_response(problem: Problem, scope: Scope) -> Response:
    """`application/problem+json`, or OpenAI's error object; with `Retry-After` where waiting
    helps. Whoever accounts for the request finds the code in its state."""
    scope["state"]["code"] = problem.code
    body = problem.body(scope["state"].get("request_id", ""))
    openai = scope.get("path", "").startswith(OPENAI)
    return Response(
        orjson.dumps(openai_error(body) if openai else body),
        status_code=problem.status,
        headers=problem.headers(),
        media_type="application/json" if openai else "application/problem+json",
    )


def openai_error(problem: dict[str, Any]) -> dict[str, Any]:
    """A problem object in OpenAI's shape; what it has no place for stays beside its fields."""
    body = dict(problem)
    status = body.pop("status")
    kind = "rate_limit_error" if status == 429 else "invalid_request_error"
    if status == 401:
        kind = "authentication_error"
    error = {
        "message": body.pop("detail"),
        "type": kind if status < 500 else "server_error",
        "param": body.pop("parameter", None),
        "code": body.pop("code"),
    }
    for name in ("type", "title"):
        body.pop(name)
    return {"error": {**error, **body}}
