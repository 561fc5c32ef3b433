"""Files that can go to the daemon as they came: an upright JPEG or PNG in sRGB, whole by its
markers or checksums.

Nothing is decoded for this. What is damaged inside a scan is found by the daemon.
"""

import struct
import zlib

from PIL import Image

ORIENTATION = 0x0112
_SOF = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended and progressive, Huffman-coded
_SOS, _APP1, _APP2, _APP14 = 0xDA, 0xE1, 0xE2, 0xEE
_EOI = b"\xff\xd9"
_SRGB = (b"sRGB", "sRGB".encode("utf-16-be"))  # how a profile's description writes it
_PNG = b"\x89PNG\r\n\x1a\n"
# Chunks that make more of a PNG than its pixels: an animation, transparency.
_MORE = frozenset({b"acTL", b"tRNS"})


class _NotPlainError(Exception):
    pass


def plain_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a file that need not be touched; None for any other."""
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(_PNG):
            return _png(data)
    except (_NotPlainError, struct.error, IndexError):
        pass
    return None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """Up to the first scan; from there on the file has only to be there up to its end marker."""
    size = None
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        if marker == _SOS:
            return size if data.rstrip(b"\0").endswith(_EOI) else None
        (length,) = struct.unpack_from(">H", data, at + 2)
        segment = data[at + 4 : at + 2 + length]
        if marker in _SOF:
            size = _frame(segment)
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return None  # lossless, arithmetic: few can read it
        else:
            _check(marker, segment)
        at += 2 + length
    return None


def _frame(segment: bytes) -> tuple[int, int]:
    """Three components must be YCbCr, which are numbered, not named R, G and B."""
    bits, height, width, components = struct.unpack_from(">BHHB", segment)
    names = segment[6::3][:components]
    if bits != 8 or components not in (1, 3) or names == b"RGB" or not height:
        raise _NotPlainError
    return width, height


def _check(marker: int, segment: bytes) -> None:
    """Raises _NotPlainError for a segment that says the picture must be turned or converted."""
    if marker == _APP1 and segment.startswith(b"Exif\0\0"):
        exif = Image.Exif()
        try:
            exif.load(segment)
        except (SyntaxError, ValueError, TypeError, OSError, KeyError):
            raise _NotPlainError from None
        if exif.get(ORIENTATION, 1) != 1:
            raise _NotPlainError
    elif marker == _APP2:
        # A colour profile, or a second picture (MPF).
        if not (segment.startswith(b"ICC_PROFILE\0") and any(name in segment for name in _SRGB)):
            raise _NotPlainError
    elif marker == _APP14 and segment.startswith(b"Adobe") and segment[11:12] != b"\x01":
        raise _NotPlainError


def _png(data: bytes) -> tuple[int, int] | None:
    size = None
    at = len(_PNG)
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 8 + length
        name = data[at + 4 : at + 8]
        (crc,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(memoryview(data)[at + 4 : end]) != crc or name in _MORE:
            return None
        body = data[at + 8 : end] if name in (b"IHDR", b"iCCP", b"eXIf") else b""
        if name == b"IHDR":
            width, height, bits, colour = struct.unpack_from(">IIBB", body)
            if bits > 8 or colour not in (0, 2, 3):
                return None
            size = width, height
        elif (name == b"iCCP" and b"sRGB" not in body[:80]) or name == b"eXIf":
            return None
        at = end + 4
        if name == b"IEND":
            return size if at == len(data) else None
    return None
