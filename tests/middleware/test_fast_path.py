"""Which requests go past the router."""

from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from app.context import RequestContext
from app.errors import QueueFull
from app.middleware.fast_path import FastPathMiddleware
from app.routes.direct import DirectRoute


async def router(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("router")(scope, receive, send)


async def endpoint(request: Request) -> Response:
    return PlainTextResponse("endpoint")


async def full(request: Request) -> Response:
    raise QueueFull("full.")


async def body_of(method: str, path: str) -> tuple[Scope, str]:
    routes = [DirectRoute("/direct", endpoint, methods=["POST"])]
    routes += [DirectRoute("/full", full, methods=["POST"])]
    scope: Scope = {"type": "http", "method": method, "path": path, "headers": []}
    scope["state"] = {"context": RequestContext("req_1")}
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("nothing is read")

    async def send(message: Any) -> None:
        sent.append(message)

    await FastPathMiddleware(router, routes)(scope, receive, send)
    return scope, b"".join(message.get("body", b"") for message in sent).decode()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/direct", "endpoint"),
        ("GET", "/direct", "router"),
        ("POST", "/direct/", "router"),
        ("POST", "/another", "router"),
    ],
)
async def test_a_post_to_a_direct_route_goes_past_the_router(
    method: str, path: str, body: str
) -> None:
    scope, told = await body_of(method, path)
    assert told == body
    assert ("route" in scope) is (body == "endpoint")


async def test_a_problem_becomes_a_response() -> None:
    scope, told = await body_of("POST", "/full")
    assert '"code":"queue_full"' in told
    assert scope["state"]["context"].code == "queue_full"
