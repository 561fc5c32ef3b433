"""The pictures of one request as the daemon gets them, each decoded once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.engine.watch import Watch
from app.images.decoder import SMALL, Decoder
from app.images.picture import Prepared
from app.tasks.job import Job


@dataclass(slots=True)
class PreparedPictures:
    """Close it with `close`, also after an error.

    Args:
        client: who asks; clients take turns at the decoder.
    """

    decoder: Decoder
    client: str
    _decoding: dict[int, asyncio.Future[Prepared]] = field(default_factory=dict)

    async def decode_files(self, job: Job, deadline: float) -> Job:
        """Decode what is not a page, so that damage is known before anything is answered. Pages are
        decoded at their turn: the first is out before the last is rendered.

        Args:
            deadline: on the event loop's clock, in seconds.

        Returns:
            The job without the large files that were decoded.

        Raises:
            UnreadableImage: one of them is damaged.
            DeadlineExceeded: they are not decoded in time.
        """
        singles = [i for i, picture in enumerate(job.pictures) if picture.page is None]
        await self.get(job, singles, deadline)
        large = [i for i in singles if len(job.pictures[i].data) > SMALL]
        return job.without_files(large) if large else job

    async def get(self, job: Job, positions: Sequence[int], deadline: float) -> list[Prepared]:
        """Raises DeadlineExceeded where they are not decoded by `deadline` (the loop's clock)."""
        coming = [self.coming(job, position) for position in positions]
        if all(future.done() for future in coming):
            return [future.result() for future in coming]
        with Watch(deadline) as watch:
            return await watch.wait(asyncio.gather(*coming))

    def coming(self, job: Job, position: int) -> asyncio.Future[Prepared]:
        """The picture at this position of the job, when it is decoded."""
        size = job.sizes[position]
        if size is None:
            raise AssertionError("a picture that nobody asks about was wanted")
        if position not in self._decoding:
            picture, pad = job.pictures[position], job.pads[position]
            self._decoding[position] = self.decoder.prepare(picture, size, self.client, pad)
        return self._decoding[position]

    def close(self) -> None:
        """End the decoding that nobody waits for any more."""
        for decoding in self._decoding.values():
            if not decoding.cancel() and not decoding.cancelled():
                decoding.exception()  # looked at, so that asyncio does not report it
