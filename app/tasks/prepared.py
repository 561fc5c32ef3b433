"""The pictures of one request, decoded and encoded for the daemon. Each is decoded once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.engine.watch import Watch
from app.images.decoder import SMALL, Decoder
from app.images.picture import Prepared
from app.tasks.job import Job


@dataclass(slots=True)
class PreparedPictures:
    """Decodes pictures on demand. Call `close` in the end, also after an error.

    Args:
        client: key or address of the client, for round-robin at the decoder.
    """

    decoder: Decoder
    client: str
    _decoding: dict[int, asyncio.Future[Prepared]] = field(default_factory=dict)

    async def decode_files(self, job: Job, deadline: float) -> Job:
        """Decode all pictures that are not pages, so that damage is found before the answer starts.
        Pages are decoded later, each before its model call, so that the first page is answered
        before the last one is rendered.

        Args:
            deadline: seconds on the event loop's clock.

        Returns:
            The job without the bytes of large files that were decoded.

        Raises:
            UnreadableImage: a picture is damaged.
            DeadlineExceeded: decoding took too long.
        """
        singles = [i for i, picture in enumerate(job.pictures) if picture.page is None]
        await self.get(job, singles, deadline)
        large = [i for i in singles if len(job.pictures[i].data) > SMALL]
        return job.without_files(large) if large else job

    async def get(self, job: Job, positions: Sequence[int], deadline: float) -> list[Prepared]:
        """The pictures at these positions, decoded.

        Raises:
            DeadlineExceeded: they are not decoded by `deadline` (on the event loop's clock).
        """
        coming = [self.coming(job, position) for position in positions]
        if all(future.done() for future in coming):
            return [future.result() for future in coming]
        with Watch(deadline) as watch:
            return await watch.wait(asyncio.gather(*coming))

    def coming(self, job: Job, position: int) -> asyncio.Future[Prepared]:
        """A future of the picture at this position of the job."""
        size = job.sizes[position]
        if size is None:
            raise AssertionError("no model call needs this picture")
        if position not in self._decoding:
            picture, pad = job.pictures[position], job.pads[position]
            self._decoding[position] = self.decoder.prepare(picture, size, self.client, pad)
        return self._decoding[position]

    def close(self) -> None:
        """Cancel all decoding that is still running."""
        for decoding in self._decoding.values():
            if not decoding.cancel() and not decoding.cancelled():
                decoding.exception()  # retrieved, so that asyncio does not log it
