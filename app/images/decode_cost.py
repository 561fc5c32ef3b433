"""Estimates from a file's header the time and memory that probing and decoding it take."""

import struct
from dataclasses import dataclass

from app.images.picture import Picture
from app.images.shared_file import Buffer

# Formats whose header determines the decoding time. The time of a PDF, a TIFF or a HEIC cannot be
# known in advance.
PREDICTABLE_FORMATS = frozenset({"JPEG", "PNG", "GIF", "BMP", "WebP"})
BASE_MB = 64
DOCUMENT_MB = 256
# Bytes per pixel: four in Pillow, those of a converted copy, and the decoder's buffers. libwebp
# opens every image as an animation, with two canvases.
BYTES_PER_PIXEL, BYTES_PER_PIXEL_WEBP = 10, 17
# Limits of a light job. A phone's photo stays below both and takes half a second at most.
LIGHT_MB = 192  # memory
LIGHT_MEGAPIXELS = 13  # sum over all decoding passes
MAPPED_COPIES = 4  # address space for the file itself, as a multiple of its size


@dataclass(frozen=True, slots=True)
class DecodeCost:
    """Estimated cost of one decoder job.

    heavy: the job may take longer or more memory than a phone's photo.
    memory_mb: the most memory that the job may take (10^6 bytes).
    """

    heavy: bool
    memory_mb: int


def file_cost(kind: str, content: Buffer) -> DecodeCost:
    """Return the cost of probing a file; `kind` is the result of `formats.kind`."""
    file_mb = round(MAPPED_COPIES * len(content) / 1e6)
    if kind == "WebP":
        memory_mb = BASE_MB + round(BYTES_PER_PIXEL_WEBP * _webp_megapixels(content[:30])) + file_mb
        return DecodeCost(memory_mb > LIGHT_MB, memory_mb)
    if kind in PREDICTABLE_FORMATS or not kind:
        return DecodeCost(False, BASE_MB + file_mb)
    return DecodeCost(True, DOCUMENT_MB + file_mb)


def picture_cost(picture: Picture, kind: str) -> DecodeCost:
    """Return the cost of decoding and encoding a picture; `kind` is as in `file_cost`."""
    file_mb = round(MAPPED_COPIES * len(picture.data) / 1e6)
    if kind == "PDF":
        return DecodeCost(True, DOCUMENT_MB + file_mb)
    megapixels = picture.width * picture.height / 1e6
    each = BYTES_PER_PIXEL_WEBP if kind == "WebP" else BYTES_PER_PIXEL
    memory_mb = round(BASE_MB + each * megapixels)
    light = kind in PREDICTABLE_FORMATS and megapixels * picture.passes <= LIGHT_MEGAPIXELS
    return DecodeCost(not light or memory_mb > LIGHT_MB, memory_mb + file_mb)


def _webp_megapixels(head: bytes) -> float:
    """Return the megapixels of the canvas (RFC 9649, 2.5 to 2.7); 0 for a truncated header."""
    if len(head) < 30:
        return 0.0
    if head[12:16] == b"VP8X":
        width = int.from_bytes(head[24:27], "little") + 1
        height = int.from_bytes(head[27:30], "little") + 1
    elif head[12:16] == b"VP8L":
        (bits,) = struct.unpack_from("<I", head, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", head, 26))
    return width * height / 1e6
