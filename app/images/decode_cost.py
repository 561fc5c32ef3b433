"""What it takes to look at a file and to decode it, told from its header before it is done."""

import struct
from dataclasses import dataclass

from app.images.picture import Picture
from app.images.shared_file import Buffer

# Formats whose decoding takes as long as their header says. What a PDF, a TIFF or a HEIC takes
# cannot be known before.
KNOWN = frozenset({"JPEG", "PNG", "GIF", "BMP", "WebP"})
BASE_MB = 64
DOCUMENT_MB = 256
# Bytes a pixel: Pillow's four, those of a converted copy, and a decoder's own. libwebp opens a
# picture as an animation, with two canvases.
BYTES_A_PIXEL, BYTES_A_PIXEL_WEBP = 10, 17
LIGHT_MB = 192  # of memory, and
LIGHT_MEGAPIXELS = 13  # of all passes: what a phone's photo takes, half a second at most
TIMES_MAPPED = 4  # address space that the file itself takes, in times of its size


@dataclass(frozen=True, slots=True)
class Cost:
    """`heavy`: it may take longer than a phone's photo, or more memory. `memory_mb` is the most
    that it may take (10^6 bytes)."""

    heavy: bool
    memory_mb: int


def cost_of_file(kind: str, content: Buffer) -> Cost:
    """Of looking what a file holds; `kind` is as `images.formats` tells it."""
    file_mb = round(TIMES_MAPPED * len(content) / 1e6)
    if kind == "WebP":
        memory_mb = BASE_MB + round(BYTES_A_PIXEL_WEBP * _webp_megapixels(content[:30])) + file_mb
        return Cost(memory_mb > LIGHT_MB, memory_mb)
    if kind in KNOWN or not kind:
        return Cost(False, BASE_MB + file_mb)
    return Cost(True, DOCUMENT_MB + file_mb)


def cost_of_picture(picture: Picture, kind: str) -> Cost:
    """Of making out of a picture what the model gets."""
    file_mb = round(TIMES_MAPPED * len(picture.data) / 1e6)
    if kind == "PDF":
        return Cost(True, DOCUMENT_MB + file_mb)
    megapixels = picture.width * picture.height / 1e6
    each = BYTES_A_PIXEL_WEBP if kind == "WebP" else BYTES_A_PIXEL
    memory_mb = round(BASE_MB + each * megapixels)
    light = kind in KNOWN and megapixels * picture.passes <= LIGHT_MEGAPIXELS
    return Cost(not light or memory_mb > LIGHT_MB, memory_mb + file_mb)


def _webp_megapixels(head: bytes) -> float:
    """Of the canvas (RFC 9649, 2.5 to 2.7); 0 where the head is damaged."""
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
