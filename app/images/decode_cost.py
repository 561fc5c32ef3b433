"""What it takes to look at a file and to decode it, told from its header before it is done."""

from dataclasses import dataclass

from app.images.picture import Picture

# Formats whose decoding takes as long as their header says. What a PDF, a TIFF or a HEIC takes
# cannot be known before.
KNOWN = frozenset({"JPEG", "PNG", "GIF", "BMP", "WebP"})
BASE_MB = 64
LOOK_MB = 96
DOCUMENT_MB = 256
# Bytes a pixel: Pillow's four, those of a converted copy, and a decoder's own.
BYTES_A_PIXEL = 10
LIGHT_MB = 192  # of memory, and
LIGHT_MEGAPIXELS = 13  # of all passes: what a phone's photo takes, half a second at most


@dataclass(frozen=True, slots=True)
class Cost:
    """`heavy`: it may take longer than a phone's photo, or more memory. `memory_mb` is the most
    that it may take (10^6 bytes)."""

    heavy: bool
    memory_mb: int


def cost_of_file(kind: str) -> Cost:
    """Of looking what a file holds; `kind` is as `images.formats` tells it."""
    if kind in KNOWN or not kind:
        return Cost(False, LOOK_MB)
    return Cost(True, DOCUMENT_MB)


def cost_of_picture(picture: Picture, kind: str) -> Cost:
    """Of making out of a picture what the model gets."""
    if kind == "PDF":
        return Cost(True, DOCUMENT_MB)
    megapixels = picture.width * picture.height / 1e6
    memory_mb = round(BASE_MB + BYTES_A_PIXEL * megapixels)
    known = kind in KNOWN and megapixels * picture.passes <= LIGHT_MEGAPIXELS
    return Cost(not known or memory_mb > LIGHT_MB, memory_mb)
