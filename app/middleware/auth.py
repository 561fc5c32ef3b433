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
PUBLIC_PATHS = frozenset({"/", "/health", "/ready", "/docs", "/redoc", "/openapi.json"})
PUBLIC_PREFIXES = ("/web/", "/static-offline-docs/")


class ApiKeyMiddleware:
    """Refuses requests without a valid API key. Without configured keys every request passes.

    Sets `RequestContext.key`, the short hash of the key for logs and the queue.
    """

    def __init__(self, app: ASGIApp, keys: frozenset[str], public_paths: frozenset[str]) -> None:
        self.app = app
        self._public_paths = public_paths
        # The digest of each encoding of a key, and the short hash of that key.
        self._digests = [
            (hashlib.sha256(form).digest(), hashlib.sha256(key.encode()).hexdigest()[:8])
            for key in sorted(keys)
            for form in _encodings(key)
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._digests or self._is_public(scope["path"]):
            await self.app(scope, receive, send)
            return
        given = hashlib.sha256(_presented_key(scope)).digest()
        # All digests are compared, so that the time does not depend on the key.
        matches = [hmac.compare_digest(given, digest) for digest, _ in self._digests]
        if True not in matches:
            problem = Unauthorized(
                "This server requires an API key: send `Authorization: Bearer KEY` or "
                "`X-API-Key: KEY`."
            )
            response = problem_response(problem, scope)
            response.headers["WWW-Authenticate"] = "Bearer"
            await response(scope, receive, send)
            return
        context_of(scope).key = self._digests[matches.index(True)][1]
        await self.app(scope, receive, send)

    def _is_public(self, path: str) -> bool:
        return path in self._public_paths or path.startswith(PUBLIC_PREFIXES)


def _presented_key(scope: Scope) -> bytes:
    fields: dict[bytes, bytes] = dict(reversed(scope["headers"]))  # the first of a name wins
    scheme, _, key = fields.get(b"authorization", b"").partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else fields.get(b"x-api-key", b"")


def _encodings(key: str) -> set[bytes]:
    """The bytes of a key in a header field, which has no declared encoding: UTF-8, and Latin-1 if
    it can encode the key."""
    forms = {key.encode()}
    with suppress(UnicodeEncodeError):
        forms.add(key.encode("latin-1"))
    return forms
