"""ASGI middleware before every route: who may ask, and how much a request may bring."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from app.embedded.api.errors import ApiError
from app.embedded.api.origins import OriginPolicy

MAX_BODY_BYTES = 64_000_000  # bytes; 16 images of 3 MB, in base64
MAX_TOTAL_BODY_BYTES = 4 * MAX_BODY_BYTES  # bytes of all requests that are not answered yet
BODY_TIMEOUT_S = 60.0  # for the whole body to come

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
ErrorResponse = Callable[[ApiError], App]


class RequestGuard:
    """Refuses with 403, 413, 408 and 503 in Ollama's shape."""

    def __init__(self, app: App, origins: OriginPolicy, error_response: ErrorResponse) -> None:
        """
        Args:
            app: raises what `receive` raises until its response begins.
            refuse: makes the response to an error.
        """
        self._app = app
        self._origins = origins
        self._error_response = error_response
        self._held_bytes = 0  # bytes of bodies

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        fields = [(name, value.decode("latin-1")) for name, value in scope["headers"]]
        try:
            self._check(fields)
        except ApiError as error:
            return await self._error_response(error)(scope, receive, send)
        body = _LimitedBody(self, receive)
        try:
            await self._app(scope, body.receive, send)
        finally:
            self._held_bytes -= body.received

    def reserve(self, count: int, received: int) -> None:
        """Account for `count` more bytes of a body.

        Raises:
            ProtocolError: 413, with these the body is too large; 503, all bodies are.
        """
        if received > MAX_BODY_BYTES:
            raise _too_large()
        if self._held_bytes + count > MAX_TOTAL_BODY_BYTES:
            # Ollama's words for a full queue.
            raise ApiError(503, "server busy, please try again.  maximum pending requests exceeded")
        self._held_bytes += count

    def _check(self, fields: list[tuple[bytes, str]]) -> None:
        hosts = [value for name, value in fields if name == b"host"]
        origins = [value for name, value in fields if name == b"origin"]
        if rejection := self._origins.rejection(hosts, origins):
            raise ApiError(403, rejection)
        # The HTTP parser has checked that it is a number.
        if any(name == b"content-length" and int(value) > MAX_BODY_BYTES for name, value in fields):
            raise _too_large()


class _LimitedBody:
    """Counts the bytes of one request's body as they come."""

    def __init__(self, guard: RequestGuard, receive: Receive) -> None:
        self._guard = guard
        self._receive = receive
        self._deadline = asyncio.get_running_loop().time() + BODY_TIMEOUT_S
        self._complete = False
        self.received = 0

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()  # until the client disconnects
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise ApiError(408, f"no whole request within {BODY_TIMEOUT_S:.0f} s") from None
        count = len(message.get("body", b""))
        self._guard.reserve(count, self.received + count)
        self.received += count
        self._complete = not message.get("more_body", False)
        return message


def _too_large() -> ApiError:
    return ApiError(413, f"request body is larger than {MAX_BODY_BYTES // 10**6} MB")
