"""Maps a problem to a response in the format of the route's protocol.

A route declares its format as `problem_format`. The default, also for unknown paths, is RFC 9457.
Whole responses and streams both use this mapping.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi.routing import iter_route_contexts
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Scope

from app.context import context_of
from app.errors import InternalError, Problem
from app.observability.logs import log


@dataclass(frozen=True, slots=True)
class ProblemFormat:
    """How a protocol writes a problem: `shape` makes the response body of the problem object."""

    media_type: str
    shape: Callable[[dict[str, Any]], dict[str, Any]]

    def body(self, problem: Problem, request_id: str) -> dict[str, Any]:
        return self.shape(problem.body(request_id))


def _openai_error(problem: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's error object; additional members are kept."""
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


RFC_9457 = ProblemFormat("application/problem+json", lambda problem: problem)
OPENAI = ProblemFormat("application/json", _openai_error)

DeclaredFormats = tuple[tuple[re.Pattern[str], ProblemFormat], ...]


def declared_formats(routes: Iterable[BaseRoute]) -> DeclaredFormats:
    """Path pattern and format of each route that declares one."""
    return tuple(
        (one.path_regex, one.original_route.problem_format)
        for one in iter_route_contexts(list(routes))
        if hasattr(one.original_route, "problem_format")
    )


def format_of_path(path: str, declared: DeclaredFormats) -> ProblemFormat:
    """The format for a request that is not routed yet."""
    return next((form for pattern, form in declared if pattern.match(path)), RFC_9457)


def problem_format(scope: Scope) -> ProblemFormat:
    """The format of the route that handles the request."""
    if route := scope.get("route"):
        return getattr(route, "problem_format", RFC_9457)
    return format_of_path(scope["path"], scope["app"].state.problem_formats)


def problem_response(problem: Problem, scope: Scope) -> Response:
    """Build the response with the problem's headers, and set the code of the context."""
    context = context_of(scope)
    context.code = problem.code
    form = problem_format(scope)
    return Response(
        orjson.dumps(form.body(problem, context.request_id)),
        status_code=problem.status,
        headers=problem.headers(),
        media_type=form.media_type,
    )


def internal_error(request_id: str) -> InternalError:
    """Log the current exception, and return the problem that the client gets in its place."""
    log.exception("unhandled exception", request_id=request_id)
    return InternalError("An internal error ended the request. The log has the details.")
