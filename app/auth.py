"""API keys, compared in constant time; logs know a key by a short hash only."""

import hashlib
import hmac
from contextlib import suppress

from starlette.types import ASGIApp, Receive, Scope, Send

from app.context import context_of
from app.errors import Unauthorized
from app.problems import problem_response

# Paths without a key: health probes, the API documentation, and the web page, which asks for a key
# itself.
OPEN = frozenset({"/", "/health", "/ready", "/docs", "/redoc", "/openapi.json"})
OPEN_UNDER = ("/web/", "/static-offline-docs/")


class KeyCheck:
    """Refuses requests without a valid API key. Without configured keys every request passes.

    Sets `RequestContext.key`, the short hash of the key for logs and the queue.
    """

    def __init__(self, app: ASGIApp, keys: frozenset[str], open_paths: frozenset[str]) -> None:
        self.app = app
        self._open = open_paths
        # The digest of each encoding of a key, and the short hash of that key.
        self._known = [
            (hashlib.sha256(form).digest(), hashlib.sha256(key.encode()).hexdigest()[:8])
            for key in sorted(keys)
            for form in _forms(key)
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._known or self._is_open(scope["path"]):
            await self.app(scope, receive, send)
            return
        given = hashlib.sha256(_given(scope)).digest()
        # All digests are compared, so that the time does not depend on the key.
        matches = [hmac.compare_digest(given, digest) for digest, _ in self._known]
        if True not in matches:
            problem = Unauthorized(
                "This server requires an API key: send `Authorization: Bearer KEY` or "
                "`X-API-Key: KEY`."
            )
            response = problem_response(problem, scope)
            response.headers["WWW-Authenticate"] = "Bearer"
            await response(scope, receive, send)
            return
        context_of(scope).key = self._known[matches.index(True)][1]
        await self.app(scope, receive, send)

    def _is_open(self, path: str) -> bool:
        return path in self._open or path.startswith(OPEN_UNDER)


def _given(scope: Scope) -> bytes:
    fields: dict[bytes, bytes] = dict(reversed(scope["headers"]))  # the first of a name wins
    scheme, _, key = fields.get(b"authorization", b"").partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else fields.get(b"x-api-key", b"")


def _forms(key: str) -> set[bytes]:
    """The bytes of a key in a header field, which has no declared encoding: UTF-8, and Latin-1 if
    it can encode the key."""
    forms = {key.encode()}
    with suppress(UnicodeEncodeError):
        forms.add(key.encode("latin-1"))
    return forms
