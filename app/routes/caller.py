"""Whether a request is taken now, and who sent it."""

from fastapi import Request

from app.context import RequestContext
from app.engine.gate import Gate
from app.errors import Draining
from app.images.fetch import Fetcher
from app.tasks.run import Line
from app.uploads import Upload, Uploads


def admit(request: Request, context: RequestContext) -> Upload:
    """Let the request go on, and note who sent it.

    Returns:
        What counts the bytes that it holds.

    Raises:
        Draining: the server is about to end.
        RateLimited: it is one too many.
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
    """Raises Draining once the server was asked to end."""
    if gate.draining:
        raise Draining("This server is about to end and takes nothing new. Ask another one.")


def fetcher_of(request: Request, upload: Upload) -> Fetcher | None:
    """What downloads the images of a request, where that is allowed."""
    fetcher: Fetcher | None = request.app.state.fetcher
    if fetcher is None:
        return None
    line: Line = request.app.state.line
    return _Counted(fetcher, upload, int(line.settings.max_body_mb * 1e6))


class _Counted(Fetcher):
    """What it downloads counts as a part of the request's body; the most that it may be, until it
    is there."""

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
