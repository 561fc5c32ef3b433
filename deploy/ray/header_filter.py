"""Removes the request headers with which a client controls Ray, and Ray's X-Request-ID."""

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# With the first, a request keeps the GPU busy after its client has disconnected.
DROPPED = (b"x-request-disconnect-disabled", b"x-request-timeout-seconds")


class HeaderFilter:
    """Drop these request headers, and the second `X-Request-ID` that Ray adds to the response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        kept = [(name, value) for name, value in scope["headers"] if name not in DROPPED]

        async def send_once(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = headers["x-request-id"]  # keeps the first one
            await send(message)

        await self.app({**scope, "headers": kept}, receive, send_once)


def middlewares() -> list[Middleware]:
    """The callback for RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH."""
    return [Middleware(HeaderFilter)]
