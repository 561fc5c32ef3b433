"""Reads the EXIF orientation of an image: 1 to 8, 1 is upright (CIPA DC-008, 4.6.4)."""

import re
import struct

from app.images.shared_file import Buffer

ORIENTATION_TAG = 0x0112
SIDEWAYS = (5, 6, 7, 8)  # orientations that swap width and height
MAX_ENTRIES = 1000
MAX_CHUNKS = 100_000  # of a PNG; 20 MB in chunks of 8 kB are 2,500
_XMP = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')


def exif_orientation(exif: bytes) -> int:
    """Return the orientation in an EXIF block; 1 if it has none.

    The block is a TIFF header (TIFF 6.0, section 2): byte order, the number 42, the offset of the
    first directory. Directory entries have twelve bytes.

    Raises:
        ValueError, struct.error: the block is damaged.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        raise ValueError("no TIFF header")
    (at,) = struct.unpack_from(f"{order}L", exif, 4)
    (entries,) = struct.unpack_from(f"{order}H", exif, at)
    for entry in range(at + 2, at + 2 + 12 * min(entries, MAX_ENTRIES), 12):
        tag, kind, count = struct.unpack_from(f"{order}HHL", exif, entry)
        if tag == ORIENTATION_TAG:
            if (kind, count) != (3, 1):  # one SHORT
                raise ValueError("the orientation is not a number")
            (orientation,) = struct.unpack_from(f"{order}H", exif, entry + 8)
            return int(orientation)
    return 1


def xmp_orientation(xmp: bytes) -> int:
    """Return the orientation in XMP metadata, which count if there is no EXIF block; else 1."""
    match = _XMP.search(xmp)
    return int(match[1]) if match else 1


def png_orientation(data: Buffer) -> int:
    """Return the orientation in a PNG's eXIf chunk, else in its XMP, else 1.

    The chunks may be before or after the pixels. Pillow decodes all pixels to find those after
    them. A damaged file counts as upright.
    """
    orientation, at = 1, 8
    try:
        for _ in range(MAX_CHUNKS):
            length, name = struct.unpack_from(">I4s", data, at)
            if name == b"eXIf":
                return exif_orientation(data[at + 8 : at + 8 + length])
            if name == b"iTXt":
                orientation = max(orientation, xmp_orientation(data[at + 8 : at + 8 + length]))
            at += 12 + length
    except (struct.error, ValueError):
        pass
    return orientation
