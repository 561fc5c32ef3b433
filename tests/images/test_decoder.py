"""The files of a request are probed and decoded in worker processes."""

import base64
from collections.abc import AsyncIterator

import pytest

from app.errors import InternalError, PageOutOfRange, Problem, UnreadableImage, UnsupportedImage
from app.images import passthrough
from app.images.decode import prepare
from app.images.decode_cost import file_cost, picture_cost
from app.images.decoder import INLINE_FILE_BYTES, Decoder
from app.images.picture import Limits, Picture
from app.images.probe import probe
from app.images.shared_file import SharedFile
from app.images.worker_pool import DecodeJob, WorkerPool
from app.images.worker_protocol import ErrorReply, ProbeReply, ProblemReply, encode
from tests.bombs.raster import progressive
from tests.images.files import pdf_of, tiff_pages
from tests.pictures import encoded, scene

LIMITS = Limits(50)
SMALL_JPEG = encoded(scene(160, 120), "JPEG")
WEBP = encoded(scene(160, 120), "WEBP")
LARGE_JPEG = encoded(scene(6000, 4000), "JPEG", quality=95)


@pytest.fixture
async def decoder() -> AsyncIterator[Decoder]:
    made = Decoder(LIMITS)
    yield made
    made.close()


@pytest.mark.parametrize("data", [SMALL_JPEG, WEBP, LARGE_JPEG], ids=["small", "webp", "large"])
async def test_the_same_as_in_this_process(decoder: Decoder, data: bytes) -> None:
    (here,) = probe(data, 0, LIMITS)
    (there,) = await decoder.probe([data], None)
    for name in ("index", "page", "width", "height", "warnings", "text", "scale", "passthrough"):
        assert getattr(here, name) == getattr(there, name)
    for size in ((160, 128), (here.width, here.height)):
        assert await decoder.prepare(there, size) == prepare(here, size)


async def test_files_in_their_order_and_documents_by_page(decoder: Decoder) -> None:
    document = pdf_of(scene(200, 100), scene(100, 200))
    found = await decoder.probe([WEBP, document, SMALL_JPEG], None)
    assert [(one.index, one.page) for one in found] == [(0, None), (1, 1), (1, 2), (2, None)]


async def test_only_what_need_not_be_decoded_stays_here(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small picture that is passed through needs no worker process."""
    asked: list[str] = []
    run = WorkerPool.run

    async def noted(self: WorkerPool, decode_job: DecodeJob) -> bytes:
        asked.append(type(decode_job.task).__name__)
        return await run(self, decode_job)

    monkeypatch.setattr(WorkerPool, "run", noted)
    (picture,) = await decoder.probe([SMALL_JPEG], None)
    sent = await decoder.prepare(picture, (160, 120))
    assert base64.b64decode(sent.base64) == SMALL_JPEG
    assert asked == []
    assert len(LARGE_JPEG) > INLINE_FILE_BYTES
    (picture,) = await decoder.probe([LARGE_JPEG], None)
    await decoder.prepare(picture, (6000, 4000))
    assert asked == ["Probe", "Prepare"]


@pytest.mark.parametrize(
    ("data", "pages", "problem"),
    [
        (b"no image", None, UnsupportedImage),
        (WEBP[:60], None, UnreadableImage),
        (tiff_pages(3), "9", PageOutOfRange),
    ],
    ids=["none", "cut", "page"],
)
async def test_refusals_come_back_as_they_are(
    decoder: Decoder, data: bytes, pages: str | None, problem: type[Problem]
) -> None:
    with pytest.raises(problem) as here:
        probe(data, 0, LIMITS, pages)
    with pytest.raises(problem) as there:
        await decoder.probe([data], pages)
    assert here.value.detail == there.value.detail
    assert here.value.extra == there.value.extra


async def test_the_first_file_that_is_refused_is_told(decoder: Decoder) -> None:
    with pytest.raises(UnreadableImage, match=r"image\[1\]"):
        await decoder.probe([SMALL_JPEG, WEBP[:60], b"no image"], None)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\xff",
        encode(ErrorReply("Traceback")),
        encode(ProblemReply("Wrong", "", {})),
        encode({"a": 1}),
    ],
)
async def test_a_reply_that_is_none_is_a_fault_of_the_server(
    decoder: Decoder, reply: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(_self: WorkerPool, _decoding: DecodeJob) -> bytes:
        return reply

    monkeypatch.setattr(WorkerPool, "run", run)
    with pytest.raises(InternalError, match="a bug in the server"):
        await decoder.probe([WEBP], None)


async def test_another_reply_than_was_asked_for(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (picture,) = await decoder.probe([WEBP], None)

    async def run(_self: WorkerPool, _decoding: DecodeJob) -> bytes:
        return encode(ProbeReply([]))

    monkeypatch.setattr(WorkerPool, "run", run)
    with pytest.raises(InternalError):
        await decoder.prepare(picture, (64, 64))


async def test_one_hash_of_small_and_large_parts(decoder: Decoder) -> None:
    large = bytes(5_000_000)
    parts: list[bytes | SharedFile] = [b"a", SharedFile.from_bytes(b"bc")]
    assert await decoder.digest(parts) == await decoder.digest([b"a", b"bc"])
    assert await decoder.digest([large]) == await decoder.digest([SharedFile.from_bytes(large)])
    assert await decoder.digest([b"ab", b"c"]) != await decoder.digest([b"a", b"bc"])


def test_what_a_phone_takes_is_light() -> None:
    photo = Picture(b"", 0, None, 4032, 3024)
    assert not picture_cost(photo, "JPEG").heavy
    assert picture_cost(photo, "HEIC").heavy
    assert picture_cost(Picture(b"", 0, None, 4032, 3024, passes=10), "JPEG").heavy
    assert picture_cost(Picture(b"", 0, None, 7000, 7000), "PNG").heavy
    assert file_cost("PDF", b"").heavy
    assert not file_cost("PNG", b"").heavy


@pytest.mark.parametrize(("scans", "as_it_is"), [(1, True), (20, True), (40, False)])
def test_a_jpeg_of_many_scans_is_not_passed_on(scans: int, as_it_is: bool) -> None:
    data = progressive(640, 480, scans)
    assert (passthrough.passthrough_size(data) is not None) == as_it_is


def test_a_jpeg_of_too_many_scans_is_refused_before_it_is_decoded() -> None:
    refusal = r"image\[0\] is a progressive JPEG of at least 1\d\d scans"
    with pytest.raises(UnreadableImage, match=refusal):
        probe(progressive(640, 480, 120), 0, LIMITS)
