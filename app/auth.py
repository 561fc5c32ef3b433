"""Who may ask: API keys, compared in constant time and known to the logs by a hash alone."""

import hashlib
import hmac
import ipaddress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import Unauthorized
from app.routes.problems import problem_response

# What tells nothing and costs nothing: probes of the platform, the documents of the API, and the
# web page, which asks for a key itself.
OPEN = frozenset({"/", "/health", "/ready", "/docs", "/redoc", "/openapi.json"})
OPEN_UNDER = ("/web/", "/static-offline-docs/")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class KeyCheck:
    """Lets a request through where it carries one of the keys; every request where there is none.

    Sets `scope["state"]["client"]`, the short hash by which the logs and the queue know a key.
    """

    def __init__(self, app: ASGIApp, keys: frozenset[str], open_paths: frozenset[str]) -> None:
        self.app = app
        self._open = open_paths
        self._digests = [hashlib.sha256(key.encode()).digest() for key in sorted(keys)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._digests or self._is_open(scope["path"]):
            await self.app(scope, receive, send)
            return
        given = hashlib.sha256(_given(Headers(scope=scope)).encode()).digest()
        # All are compared, so that the time tells nothing of which one came close.
        matches = [hmac.compare_digest(given, digest) for digest in self._digests]
        if True not in matches:
            problem = Unauthorized(
                "This server wants an API key: send `Authorization: Bearer KEY` or "
                "`X-API-Key: KEY`."
            )
            response = problem_response(problem, scope)
            response.headers["WWW-Authenticate"] = "Bearer"
            await response(scope, receive, send)
            return
        scope["state"]["client"] = given.hex()[:8]
        await self.app(scope, receive, send)

    def _is_open(self, path: str) -> bool:
        return path in self._open or path.startswith(OPEN_UNDER)


def _given(headers: Headers) -> str:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
