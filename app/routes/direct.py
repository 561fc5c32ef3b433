"""Routes whose endpoint parses the request itself."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response


class DirectRoute(APIRoute):
    """A route without parameters, dependencies and response model to resolve. OpenAPI describes it
    like any other route, and `app.middleware.fast_path` may call its endpoint directly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint
