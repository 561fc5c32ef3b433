"""Problems as HTTP answers."""

import orjson
from starlette.responses import Response

from app.errors import Problem


def problem_response(problem: Problem, request_id: str) -> Response:
    """`application/problem+json`, with `Retry-After` where waiting helps."""
    return Response(
        orjson.dumps(problem.body(request_id)),
        status_code=problem.status,
        headers=problem.headers(),
        media_type="application/problem+json",
    )
