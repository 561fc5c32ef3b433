"""Strips metadata from image files and limits the cost of decoding them.

Pillow parses metadata in Python when it opens a file (EXIF, MPF, Photoshop and text chunks), and
a few kilobytes of metadata can take seconds and gigabytes. The engine only needs the orientation,
so Pillow receives no metadata.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

MAX_SEGMENTS = 2_000  # of a JPEG before its first scan; a colour profile has at most 255
MAX_CHUNKS = 100_000  # of a PNG
# Pixels visited by all scans of a JPEG. A progressive file of 50 megapixels has 10 scans.
MAX_SCANNED_PIXELS = 1_000_000_000
SCAN_PIXELS = 100_000  # the minimum cost of a scan, for small images

_PNG = b"\x89PNG\r\n\x1a\n"
_KEPT_CHUNKS = (b"IHDR", b"PLTE", b"tRNS")
_SOF = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive, as in Go's decoder
_UNSUPPORTED_SOF = (0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_SOS, _APP0, _APP1, _APP14, _APP15, _COM = 0xDA, 0xE0, 0xE1, 0xEE, 0xEF, 0xFE
_SCAN = re.compile(rb"\xff\xda")
_ORIENTATION = 0x0112


class ContainerError(ValueError):
    """The file is damaged, of an unsupported kind, or too expensive to decode."""


@dataclass(frozen=True, slots=True)
class Container:
    """An image file without metadata.

    `format` is Pillow's name of the format. `orientation` is EXIF's, 1 to 8.
    """

    format: str
    data: bytes
    orientation: int = 1


def strip_metadata(data: bytes) -> Container | None:
    """The file without its metadata. None for formats other than JPEG, PNG and WebP.

    Raises:
        ContainerError: the file must not be decoded.
    """
    read: Callable[[bytes], Container]
    if data.startswith(b"\xff\xd8\xff"):
        read = _strip_jpeg
    elif data.startswith(_PNG):
        read = _strip_png
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        read = _strip_webp
    else:
        return None
    try:
        return read(data)
    except (struct.error, IndexError):
        raise ContainerError("unexpected EOF") from None


def _strip_jpeg(data: bytes) -> Container:
    parts, orientation, pixels, offset = [data[:2]], 1, 0, 2
    for _ in range(MAX_SEGMENTS):
        if data[offset] != 0xFF:
            raise ContainerError("no marker where a JPEG segment begins")
        marker = data[offset + 1]
        if marker == 0xFF:  # fill byte
            offset += 1
            continue
        if marker == _SOS:
            return _limit_scans(parts, data[offset:], pixels, orientation)
        (length,) = struct.unpack_from(">H", data, offset + 2)
        segment = data[offset : offset + 2 + length]
        offset += 2 + max(2, length)
        if marker in _UNSUPPORTED_SOF:
            raise ContainerError("a lossless or arithmetic-coded JPEG")
        if marker in _SOF:
            height, width = struct.unpack_from(">HH", segment, 5)
            pixels = height * width
        elif marker == _APP1 and segment.startswith(b"Exif\0\0", 4):
            orientation = _exif_orientation(segment[10:])
        if (_APP0 < marker <= _APP15 and marker != _APP14) or marker == _COM:
            continue
        parts.append(segment)
    raise ContainerError(f"more than {MAX_SEGMENTS} segments before the first scan")


def _limit_scans(parts: list[bytes], scans: bytes, pixels: int, orientation: int) -> Container:
    """Appends the scans, after a check of their number.

    Inside a scan, 0xFF is followed by 0 or by a restart marker.
    """
    max_scans = MAX_SCANNED_PIXELS // max(pixels, SCAN_PIXELS)
    for number, _ in enumerate(_SCAN.finditer(scans), 1):
        if number > max_scans:
            raise ContainerError(f"more than {max_scans} scans")
    return Container("JPEG", b"".join((*parts, scans)), orientation)


def _strip_png(data: bytes) -> Container:
    """Joins the IDAT chunks into one, because Pillow reads each chunk in Python."""
    kept, pixels, orientation, offset = [_PNG], [], 1, len(_PNG)
    for _ in range(MAX_CHUNKS):
        length, name = struct.unpack_from(">I4s", data, offset)
        end = offset + 12 + length
        if end > len(data):
            raise ContainerError("not enough pixel data")
        if name == b"IDAT":
            pixels.append(data[offset + 8 : end - 4])
        elif name == b"eXIf":
            orientation = _exif_orientation(data[offset + 8 : end - 4])
        elif name in _KEPT_CHUNKS:
            kept.append(data[offset:end])
        elif name == b"IEND":
            size = struct.pack(">I", sum(map(len, pixels)))
            crc = b"\0\0\0\0"  # Pillow ignores it; zlib checks the pixels
            parts_of_file = (*kept, size, b"IDAT", *pixels, crc, data[offset:end])
            return Container("PNG", b"".join(parts_of_file), orientation)
        offset = end
    raise ContainerError(f"more than {MAX_CHUNKS} chunks")


def _strip_webp(data: bytes) -> Container:
    """Keeps the file: Pillow does not parse the metadata of a WebP."""
    offset, orientation = 12, 1
    for _ in range(MAX_CHUNKS):
        if offset + 8 > len(data):
            return Container("WEBP", data, orientation)
        name, length = struct.unpack_from("<4sI", data, offset)
        if name == b"EXIF":
            orientation = _exif_orientation(data[offset + 8 : offset + 8 + length])
        offset += 8 + length + length % 2
    raise ContainerError(f"more than {MAX_CHUNKS} chunks")


def _exif_orientation(exif: bytes) -> int:
    """1 if there is no orientation or it cannot be parsed."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for number in range(count):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, start + 2 + 12 * number)
            if tag == _ORIENTATION:
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
