"""Admission: drain state, rate limit and upload budget of a request."""

from fastapi import Request

from app.context import RequestContext
from app.engine.gate import Gate
from app.errors import Draining
from app.images.fetch import Fetcher
from app.tasks.run import Line
from app.uploads import Upload, Uploads


def admit(request: Request, context: RequestContext) -> Upload:
    """Admit the request, and record its client in the context.

    Returns:
        The upload that counts the bytes of the request.

    Raises:
        Draining: the server is shutting down.
        RateLimited: the client has reached its rate limit.
    """
    line: Line = request.app.state.line
    refuse_if_draining(line.gate)
    context.address = request.client.host if request.client else ""
    context.no_store = "no-store" in request.headers.get("cache-control", "").lower()
    request.app.state.rates.check(context.client)
    uploads: Uploads = request.app.state.uploads
    context.upload = upload = uploads.open(context.client)
    return upload


def refuse_if_draining(gate: Gate) -> None:
    """Raises Draining once the server is shutting down."""
    if gate.draining:
        raise Draining("The server is shutting down and takes no new requests. Retry elsewhere.")


def fetcher_of(request: Request, upload: Upload) -> Fetcher | None:
    """The downloader for the image URLs of a request; None unless `ALLOW_URL_FETCH` is set."""
    fetcher: Fetcher | None = request.app.state.fetcher
    if fetcher is None:
        return None
    line: Line = request.app.state.line
    return _Counted(fetcher, upload, int(line.settings.max_body_mb * 1e6))


class _Counted(Fetcher):
    """Counts downloads as part of the request's body: by the largest allowed size while they run,
    then by their own."""

    def __init__(self, fetcher: Fetcher, upload: Upload, most_bytes: int) -> None:
        self._fetcher, self._upload, self._most = fetcher, upload, most_bytes

    async def fetch(self, url: str, index: int) -> bytes:
        self._upload.take(self._most)
        size = 0
        try:
            data = await self._fetcher.fetch(url, index)
            size = len(data)
            return data
        finally:
            self._upload.let_go(self._most - size)
