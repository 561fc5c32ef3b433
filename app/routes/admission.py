"""Admission of a request: drain state, rate limit and upload budget. Image URLs that the server
downloads count as part of the upload."""

from fastapi import Request

from app.context import RequestContext
from app.engine.scheduler import Scheduler
from app.errors import Draining
from app.images.fetch import Fetcher
from app.pipeline.pipeline import Pipeline
from app.server.upload_memory import UploadBudget, UploadReservation


def admit(request: Request, context: RequestContext) -> UploadReservation:
    """Admit the request, and record its client in the context.

    Returns:
        The reservation that counts the bytes of the request.

    Raises:
        Draining: the server is shutting down.
        RateLimited: the client has reached its rate limit.
    """
    pipeline: Pipeline = request.app.state.pipeline
    check_not_draining(pipeline.scheduler)
    context.address = request.client.host if request.client else ""
    context.no_store = "no-store" in request.headers.get("cache-control", "").lower()
    request.app.state.rate_limiter.check(context.client)
    upload_budget: UploadBudget = request.app.state.upload_budget
    context.upload = upload = upload_budget.reserve(context.client)
    return upload


def check_not_draining(scheduler: Scheduler) -> None:
    """Raises Draining if the server is shutting down."""
    if scheduler.draining:
        raise Draining("The server is shutting down and takes no new requests. Retry elsewhere.")


def get_fetcher(request: Request, upload: UploadReservation) -> Fetcher | None:
    """The downloader for the image URLs of a request; None unless `ALLOW_URL_FETCH` is set."""
    fetcher: Fetcher | None = request.app.state.fetcher
    if fetcher is None:
        return None
    pipeline: Pipeline = request.app.state.pipeline
    return _BudgetedFetcher(fetcher, upload, int(pipeline.settings.max_body_mb * 1e6))


class _BudgetedFetcher(Fetcher):
    """Counts downloads as part of the request's body: by the largest allowed size while they run,
    then by their own."""

    def __init__(self, fetcher: Fetcher, upload: UploadReservation, max_bytes: int) -> None:
        self._fetcher, self._upload, self._limit = fetcher, upload, max_bytes

    async def fetch(self, url: str, index: int) -> bytes:
        self._upload.grow(self._limit)
        size = 0
        try:
            data = await self._fetcher.fetch(url, index)
            size = len(data)
            return data
        finally:
            self._upload.shrink(self._limit - size)
