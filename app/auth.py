"""Who may ask: API keys, compared in constant time and known to the logs by a hash alone."""

import hashlib
import hmac
from contextlib import suppress

from starlette.types import ASGIApp, Receive, Scope, Send

from app.context import context_of
from app.errors import Unauthorized
from app.problems import problem_response

# What tells nothing and costs nothing: probes of the platform, the documents of the API, and the
# web page, which asks for a key itself.
OPEN = frozenset({"/", "/health", "/ready", "/docs", "/redoc", "/openapi.json"})
OPEN_UNDER = ("/web/", "/static-offline-docs/")


class KeyCheck:
    """Lets a request through where it carries one of the keys; every request where there is none.

    Sets `RequestContext.key`, the short hash by which the logs and the queue know a key.
    """

    def __init__(self, app: ASGIApp, keys: frozenset[str], open_paths: frozenset[str]) -> None:
        self.app = app
        self._open = open_paths
        # The digest of each form in which a key can come, and the name of its client.
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
        # All are compared, so that the time tells nothing of which one came close.
        matches = [hmac.compare_digest(given, digest) for digest, _ in self._known]
        if True not in matches:
            problem = Unauthorized(
                "This server wants an API key: send `Authorization: Bearer KEY` or "
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
    fields: dict[bytes, bytes] = dict(reversed(scope["headers"]))  # the first of a name counts
    scheme, _, key = fields.get(b"authorization", b"").partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else fields.get(b"x-api-key", b"")


def _forms(key: str) -> set[bytes]:
    """The bytes of a key in a header field, which has no encoding: UTF-8, and Latin-1 where it
    knows the letters."""
    forms = {key.encode()}
    with suppress(UnicodeEncodeError):
        forms.add(key.encode("latin-1"))
    return forms
