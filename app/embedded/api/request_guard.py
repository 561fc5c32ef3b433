"""ASGI middleware that checks origins and limits request bodies."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from app.embedded.api.errors import ApiError
from app.embedded.api.origins import OriginPolicy

MAX_BODY_BYTES = 64_000_000  # 16 images of 3 MB in base64
MAX_TOTAL_BODY_BYTES = 4 * MAX_BODY_BYTES  # of all unanswered requests together
BODY_TIMEOUT_S = 60.0  # until the whole body has arrived

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
ErrorResponse = Callable[[ApiError], App]


class RequestGuard:
    """Rejects requests with 403, 408, 413 and 503 in Ollama's error format."""

    def __init__(self, app: App, origins: OriginPolicy, error_response: ErrorResponse) -> None:
        """
        Args:
            app: must re-raise what `receive` raises before its response begins.
            error_response: makes the response to an error.
        """
        self._app = app
        self._origins = origins
        self._error_response = error_response
        self._held_bytes = 0  # of all request bodies

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
        """Accounts for `count` more bytes of a body of which `received` bytes have arrived.

        Raises:
            ApiError: 413 if this body is too large, 503 if all bodies together are.
        """
        if received > MAX_BODY_BYTES:
            raise _too_large()
        if self._held_bytes + count > MAX_TOTAL_BODY_BYTES:
            # Ollama's message for a full queue.
            raise ApiError(503, "server busy, please try again.  maximum pending requests exceeded")
        self._held_bytes += count

    def _check(self, fields: list[tuple[bytes, str]]) -> None:
        hosts = [value for name, value in fields if name == b"host"]
        origins = [value for name, value in fields if name == b"origin"]
        if rejection := self._origins.rejection(hosts, origins):
            raise ApiError(403, rejection)
        # The HTTP parser has validated the number.
        if any(name == b"content-length" and int(value) > MAX_BODY_BYTES for name, value in fields):
            raise _too_large()


class _LimitedBody:
    """Counts the bytes of one request body as they arrive."""

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
            raise ApiError(
                408, f"the request body did not arrive within {BODY_TIMEOUT_S:.0f} s"
            ) from None
        count = len(message.get("body", b""))
        self._guard.reserve(count, self.received + count)
        self.received += count
        self._complete = not message.get("more_body", False)
        return message


def _too_large() -> ApiError:
    return ApiError(413, f"request body is larger than {MAX_BODY_BYTES // 10**6} MB")
