"""Routes whose endpoint reads the request itself."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response


class DirectRoute(APIRoute):
    """FastAPI resolves nothing for it: no parameter, no dependency, no response model. The document
    describes it like any other route, and `app.fast_path` may call its endpoint."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint
