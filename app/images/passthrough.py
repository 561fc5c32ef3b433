"""Detects files that can be passed through to Ollama unchanged.

Such a file is an upright JPEG or PNG in sRGB that is complete by its markers or checksums. Nothing
is decoded for this check; Ollama detects damage inside a scan.
"""

import contextlib
import re
import struct
import zlib
from itertools import islice

import pybase64

from app.images.orientation import exif_orientation, xmp_orientation
from app.images.pages import select_pages
from app.images.picture import Limits, Picture, PreparedImage, check_size
from app.images.shared_file import Buffer, SharedFile, as_buffer

_SOF = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended and progressive, Huffman-coded
_SOS, _APP1, _APP2, _APP14 = 0xDA, 0xE1, 0xE2, 0xEE
_EOI = b"\xff\xd9"
_SCAN = re.compile(rb"\xff\xda")
_SRGB = (b"sRGB", "sRGB".encode("utf-16-be"))  # encodings of the name in a profile's description
_PNG = b"\x89PNG\r\n\x1a\n"
# Chunks of a PNG that need decoding: an animation, transparency.
_REFUSED_CHUNKS = frozenset({b"acTL", b"tRNS"})
MAX_SEGMENTS = 1000  # segments of a JPEG's header, or chunks of a PNG, that are parsed
# Scans of a progressive JPEG; encoders write about ten. Each scan is a pass over the whole image,
# and Ollama, which decodes a passed-through file, does not limit them.
MAX_SCANS = 32


class _NotPassthroughError(Exception):
    pass


def passthrough_picture(
    data: bytes | SharedFile, index: int, limits: Limits, pages: str | None
) -> Picture | None:
    """Return the picture in a file that can be passed through unchanged; None for other files.

    Raises:
        ImageTooLarge: the image has more pixels or a longer side than allowed.
        InvalidParameter, PageOutOfRange: see `images.pages`.
    """
    size = passthrough_size(as_buffer(data))
    if size is None:
        return None
    name = f"image[{index}]"
    check_size(*size, name, limits)
    select_pages(pages, 1, limits.max_pages, name)
    return Picture(data, index, None, *size, passthrough=True)


def encode_unchanged(picture: Picture) -> PreparedImage:
    """Return the file itself, unchanged, as base64."""
    return PreparedImage(pybase64.b64encode(picture.content))


def passthrough_size(data: Buffer) -> tuple[int, int] | None:
    """Return width and height (pixels) of a file that can be passed through; None for others."""
    try:
        if data[:2] == b"\xff\xd8":
            return _jpeg_size(data)
        if data[:8] == _PNG:
            return _png_size(data)
    except (_NotPassthroughError, struct.error, ValueError, IndexError):
        pass
    return None


def jpeg_scans(data: Buffer) -> int:
    """Return the number of passes that a decoder makes over a JPEG.

    It is one if the JPEG is not progressive and its first scan holds all components, else the
    number of scans. A damaged header counts as one pass.
    """
    components, progressive, at = 0, False, 2
    with contextlib.suppress(struct.error, IndexError):
        for _ in range(MAX_SEGMENTS):
            marker, length = struct.unpack_from(">xBH", data, at)
            if marker == 0xFF:
                at += 1
                continue
            if marker in _SOF:
                components, progressive = data[at + 9], marker == 0xC2
            if marker == _SOS:
                return _count_scans(data, at, components, progressive)
            at += 2 + length
    return 1


def _count_scans(data: Buffer, at: int, components: int, progressive: bool) -> int:
    """Return the passes over a JPEG whose first scan starts at offset `at`."""
    if not progressive and data[at + 4] == components:
        return 1
    # The marker cannot occur in the data of a scan (ITU-T T.81, B.1.1.5).
    return sum(1 for _ in islice(_SCAN.finditer(data, at), 10 * MAX_SCANS))


def _jpeg_size(data: Buffer) -> tuple[int, int] | None:
    """Parse the segments before the first scan, then check only that the end marker is there."""
    size, components, progressive = None, 0, False
    at = 2
    for _ in range(MAX_SEGMENTS):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        if marker == _SOS:
            whole = data[-64:].rstrip(b"\0").endswith(_EOI)
            few = whole and _count_scans(data, at, components, progressive) <= MAX_SCANS
            return size if few else None
        (length,) = struct.unpack_from(">H", data, at + 2)
        segment = data[at + 4 : at + 2 + length]
        if marker in _SOF:
            size = _frame(segment)
            components, progressive = segment[5], marker == 0xC2
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return None  # lossless or arithmetic coding, which few decoders support
        else:
            _check_segment(marker, segment)
        at += 2 + length
    return None


def _frame(segment: bytes) -> tuple[int, int]:
    """Parse a frame header. Three components must be YCbCr: RGB ones have the ids R, G and B.

    Raises:
        _NotPassthroughError: the frame has another bit depth, another color space or no height.
    """
    bits, height, width, components = struct.unpack_from(">BHHB", segment)
    names = segment[6::3][:components]
    if bits != 8 or components not in (1, 3) or names == b"RGB" or not height:
        raise _NotPassthroughError
    return width, height


def _check_segment(marker: int, segment: bytes) -> None:
    """Check that a segment does not require a rotation or a color conversion.

    Raises:
        _NotPassthroughError: it does.
    """
    if marker == _APP1:
        exif = segment.startswith(b"Exif\0\0")
        if (exif_orientation(segment[6:]) if exif else xmp_orientation(segment)) != 1:
            raise _NotPassthroughError
    elif marker == _APP2:
        # The segment holds a colour profile, or the index of a second image (MPF).
        if not (segment.startswith(b"ICC_PROFILE\0") and any(name in segment for name in _SRGB)):
            raise _NotPassthroughError
    elif marker == _APP14 and segment.startswith(b"Adobe") and segment[11:12] != b"\x01":
        raise _NotPassthroughError


def _png_size(data: Buffer) -> tuple[int, int] | None:
    size = None
    at = len(_PNG)
    for _ in range(MAX_SEGMENTS):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 8 + length
        name = data[at + 4 : at + 8]
        (crc,) = struct.unpack_from(">I", data, end)
        if _crc32(data, at + 4, end) != crc or name in _REFUSED_CHUNKS:
            return None
        body = data[at + 8 : end] if name in (b"IHDR", b"iCCP", b"eXIf") else b""
        if name == b"IHDR":
            width, height, bits, colour = struct.unpack_from(">IIBB", body)
            if bits > 8 or colour not in (0, 2, 3):
                return None
            size = width, height
        elif (
            (name == b"iCCP" and b"sRGB" not in body[:80])
            or name == b"eXIf"
            or (name == b"iTXt" and xmp_orientation(data[at + 8 : end]) != 1)
        ):
            return None
        at = end + 4
        if name == b"IEND":
            return size if at == len(data) else None
    return None


def _crc32(data: Buffer, start: int, end: int) -> int:
    with memoryview(data) as whole, whole[start:end] as part:
        return zlib.crc32(part)
