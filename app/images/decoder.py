"""Probes and decodes the files of a request in worker processes (`app.images.worker_pool`).

To probe is to find the pictures in a file and their sizes (`app.images.probe`). To prepare is to
decode one and to encode it for the engine (`app.images.decode`). A small file that is passed to the
model unchanged is not decoded and needs no worker process.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import msgspec

from app.errors import (
    ImageTooLarge,
    InternalError,
    InvalidParameter,
    PageOutOfRange,
    Problem,
    UnreadableImage,
    UnsupportedImage,
)
from app.images import formats
from app.images.decode_cost import file_cost, picture_cost
from app.images.passthrough import encode_unchanged, passthrough_picture
from app.images.picture import Limits, Picture, PreparedImage
from app.images.shared_file import SharedFile, as_buffer
from app.images.worker_pool import DecodeJob, WorkerPool
from app.images.worker_protocol import (
    ErrorReply,
    Prepare,
    PrepareReply,
    Probe,
    ProbeReply,
    ProblemReply,
    decode_reply,
    pack_picture,
    unpack_picture,
)
from app.observability.logs import log

# Bytes. If nothing is decoded, a worker process costs more than the work for a smaller file.
INLINE_FILE_BYTES = 262_144
INLINE_HASH_BYTES = (
    1_048_576  # bytes that are copied or hashed on the event loop, which takes 1 ms at most
)
# The problems that a worker may report.
REFUSALS: dict[str, type[Problem]] = {
    one.__name__: one
    for one in (ImageTooLarge, InvalidParameter, PageOutOfRange, UnreadableImage, UnsupportedImage)
}


ReplyT = TypeVar("ReplyT", ProbeReply, PrepareReply)


class Decoder:
    """Probes and decodes files. Start it with `start`, close it with `close`.

    Args:
        timeout_s: CPU time (seconds) for probing one file or decoding one picture.
        memory_mb: memory (10^6 bytes) of all large pictures and documents that are decoded at the
            same time.
    """

    def __init__(self, limits: Limits, timeout_s: float = 10, memory_mb: int = 768) -> None:
        self._limits = replace(limits, text_layer_budget_s=timeout_s / 2)
        self._pool = WorkerPool(timeout_s, memory_mb)

    def start(self) -> None:
        """Start loading the decoders."""
        self._pool.start()

    def probe_inline(self, files: Sequence[bytes], pages: str | None) -> tuple[Picture, ...] | None:
        """Probe without a worker process; None unless all files are small and can be passed
        through."""
        found = []
        for index, data in enumerate(files):
            if len(data) > INLINE_FILE_BYTES or not (
                picture := passthrough_picture(data, index, self._limits, pages)
            ):
                return None
            found.append(picture)
        return tuple(found)

    async def probe(
        self, files: Sequence[bytes], pages: str | None, client: str = ""
    ) -> tuple[Picture, ...]:
        """Return the pictures of all files in order; for documents, those of the selected pages.

        Args:
            pages: selection of pages, see `images.pages`; None for all.
            client: identifies the client; the pool serves clients in turn.

        Raises:
            Problem: as `images.probe` and `WorkerPool.run`, for the first file that is refused.
        """
        probes = [
            asyncio.ensure_future(self._probe(data, index, pages, client))
            for index, data in enumerate(files)
        ]
        try:
            return tuple([picture for probe in probes for picture in await probe])
        finally:
            for probe in probes:
                probe.cancel()

    async def _probe(
        self, data: bytes, index: int, pages: str | None, client: str
    ) -> Sequence[Picture]:
        if len(data) <= INLINE_FILE_BYTES and (
            picture := passthrough_picture(data, index, self._limits, pages)
        ):
            return (picture,)
        cost = file_cost(formats.detect_format(data), data)
        file = await _to_shared_file(data)
        task = Probe(index, self._limits, pages)
        reply = await self._run(DecodeJob(task, file, f"image[{index}]", client, cost), ProbeReply)
        return [unpack_picture(one, file) for one in reply.pictures]

    def prepare(
        self,
        picture: Picture,
        size: tuple[int, int],
        client: str = "",
        pad: tuple[int, int] = (0, 0),
    ) -> asyncio.Future[PreparedImage]:
        """Return a future of the picture as it is sent to Ollama; arguments as `decode.prepare`."""
        if isinstance(picture.data, bytes) and picture.is_passthrough(size) and not any(pad):
            ready: asyncio.Future[PreparedImage] = asyncio.get_running_loop().create_future()
            ready.set_result(encode_unchanged(picture))
            return ready
        return asyncio.ensure_future(self._prepare(picture, size, client, pad))

    async def _prepare(
        self, picture: Picture, size: tuple[int, int], client: str, pad: tuple[int, int]
    ) -> PreparedImage:
        data = picture.data
        file = await _to_shared_file(data) if isinstance(data, bytes) else data
        task = Prepare(pack_picture(replace(picture, text=None, below="", warnings=())), size, pad)
        cost = picture_cost(picture, formats.detect_format(picture.content))
        reply = await self._run(DecodeJob(task, file, picture.name, client, cost), PrepareReply)
        return PreparedImage(reply.base64, reply.warnings)

    async def _run(self, decode_job: DecodeJob, expected: type[ReplyT]) -> ReplyT:
        """Run a job and return its reply.

        Raises:
            Problem: the worker or the pool refuses the job.
            InternalError: the worker fails with a bug, or its reply is invalid.
        """
        raw = await self._pool.run(decode_job)
        try:
            reply = decode_reply(raw)
            if isinstance(reply, expected):
                return reply
            if isinstance(reply, ProblemReply):
                raise REFUSALS[reply.problem](reply.detail, **reply.extra)
        except (msgspec.MsgspecError, KeyError, TypeError):
            reply = ErrorReply("the reply of a decoder process is invalid")
        trace = reply.trace if isinstance(reply, ErrorReply) else "the reply has an unexpected type"
        log.error("a decoder job failed with a bug", trace=trace)
        raise InternalError(
            f"{decode_job.name} could not be decoded because of a bug in the server."
        )

    async def digest(self, parts: Sequence[bytes | SharedFile]) -> bytes:
        """Return one hash (BLAKE2b, 32 bytes) over the lengths and bytes of all parts."""
        if sum(map(len, parts)) <= INLINE_HASH_BYTES:
            return _digest(parts)
        return await asyncio.to_thread(_digest, parts)

    def close(self) -> None:
        """Kill all worker processes."""
        self._pool.close()


async def _to_shared_file(data: bytes) -> SharedFile:
    if len(data) <= INLINE_HASH_BYTES:
        return SharedFile.from_bytes(data)
    return await asyncio.to_thread(SharedFile.from_bytes, data)


def _digest(parts: Sequence[bytes | SharedFile]) -> bytes:
    whole = hashlib.blake2b(digest_size=32)
    for part in parts:
        whole.update(len(part).to_bytes(8, "big"))
        whole.update(as_buffer(part))
    return whole.digest()
