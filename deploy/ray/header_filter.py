"""Where a request enters a replica: what Ray lets a client decide, and adds to the answer."""

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# With the first, a client who leaves would keep the GPU busy until its answer is over.
DROPPED = (b"x-request-disconnect-disabled", b"x-request-timeout-seconds")


class HeaderFilter:
    """Drops those header fields, and the second `X-Request-ID` that Ray adds to ours."""

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
                headers["x-request-id"] = headers["x-request-id"]  # the first; the rest go
            await send(message)

        await self.app({**scope, "headers": kept}, receive, send_once)


def middlewares() -> list[Middleware]:
    """As RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH wants it."""
    return [Middleware(HeaderFilter)]
