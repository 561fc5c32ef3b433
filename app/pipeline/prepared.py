"""The pictures of one request, decoded and encoded for the daemon. Each is decoded once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.engine.deadline import Watchdog
from app.images.decoder import INLINE_FILE_BYTES, Decoder
from app.images.picture import PreparedImage
from app.pipeline.plan import RequestPlan


@dataclass(slots=True)
class PreparedPictures:
    """Decodes pictures on demand. Call `close` in the end, also after an error.

    Args:
        client: key or address of the client, for round-robin at the decoder.
    """

    decoder: Decoder
    client: str
    _decoding: dict[int, asyncio.Future[PreparedImage]] = field(default_factory=dict)

    async def decode_files(self, plan: RequestPlan, deadline: float) -> RequestPlan:
        """Decode all pictures that are images, so that damage is found before the answer starts.
        Pages of documents are decoded later, each before its model call, so that the first page is
        answered before the last one is rendered.

        Args:
            deadline: seconds on the event loop's clock.

        Returns:
            The plan without the bytes of large files that were decoded.

        Raises:
            UnreadableImage: a picture is damaged.
            DeadlineExceeded: decoding took too long.
        """
        singles = [i for i, picture in enumerate(plan.pictures) if picture.page is None]
        await self.get(plan, singles, deadline)
        large = [i for i in singles if len(plan.pictures[i].data) > INLINE_FILE_BYTES]
        return plan.without_file_data(large) if large else plan

    async def get(
        self, plan: RequestPlan, positions: Sequence[int], deadline: float
    ) -> list[PreparedImage]:
        """The pictures at these positions, decoded.

        Raises:
            DeadlineExceeded: they are not decoded by `deadline` (on the event loop's clock).
        """
        pending = [self.pending(plan, position) for position in positions]
        if all(future.done() for future in pending):
            return [future.result() for future in pending]
        with Watchdog(deadline) as watchdog:
            return await watchdog.wait(asyncio.gather(*pending))

    def pending(self, plan: RequestPlan, position: int) -> asyncio.Future[PreparedImage]:
        """A future of the picture at this position of the plan; starts decoding on the first
        call."""
        size = plan.sizes[position]
        if size is None:
            raise AssertionError("no model call needs this picture")
        if position not in self._decoding:
            picture, pad = plan.pictures[position], plan.paddings[position]
            self._decoding[position] = self.decoder.prepare(picture, size, self.client, pad)
        return self._decoding[position]

    def close(self) -> None:
        """Cancel all decoding that is still running."""
        for decoding in self._decoding.values():
            if not decoding.cancel() and not decoding.cancelled():
                decoding.exception()  # retrieved, so that asyncio does not log it
