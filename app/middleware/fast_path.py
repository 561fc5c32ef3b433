"""The fast path: a request goes to its endpoint without FastAPI's router."""

from collections.abc import Iterable

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import Problem
from app.problems import problem_response


class FastPathMiddleware:
    """Calls the endpoint of a direct route for a POST to its path; passes on every other request.

    It replaces the router, which matches the routes one after another, the router's exit stacks and
    the exception handlers. A direct route needs none of them: it has no path parameters and no
    dependencies, its endpoint returns a response, and the only exception to be answered is a
    `Problem`.

    Args:
        routes: the direct ones (`app.routes.direct`).
    """

    def __init__(self, app: ASGIApp, routes: Iterable[APIRoute]) -> None:
        self.app = app
        self._routes = {route.path: route for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        route = self._routes.get(scope["path"]) if is_post else None
        if route is None:
            await self.app(scope, receive, send)
            return
        scope["route"] = route
        try:
            response = await route.endpoint(Request(scope, receive, send))
        except Problem as problem:
            response = problem_response(problem, scope)
        await response(scope, receive, send)  # `AnswerResponse` runs the pipeline in this call
