"""Detects the format of a file by its content, never by its name."""

import warnings
from importlib.util import find_spec

from app.errors import UnsupportedImage
from app.images.shared_file import Buffer

PILLOW_FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"]
SUPPORTED = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC and PDF"
HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}


def _register_heic() -> bool:
    """Register HEIC with Pillow if `pillow_heif` is installed; return whether it is.

    HEIC is an extra because its wheel contains codecs under the LGPL and the GPL.
    """
    if find_spec("pillow_heif") is None:
        return False
    from pillow_heif import register_heif_opener  # noqa: PLC0415 - optional dependency

    register_heif_opener(thumbnails=False)
    return True


# Pillow warns of odd metadata. It raises an exception for faults that matter.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

HEIC_SUPPORTED = _register_heic()
FORMATS = [*PILLOW_FORMATS, "HEIF"] if HEIC_SUPPORTED else PILLOW_FORMATS


_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "TIFF"),
}


def detect_format(file: Buffer) -> str:
    """Return the format of a file by its first bytes; empty if it is not supported."""
    # A PDF's header may be anywhere in the first 1,024 bytes (ISO 32000-1, H.3.4.1).
    data = file[:1024]
    if b"%PDF-" in data:
        return "PDF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp":
        if data[8:12] in (b"avif", b"avis"):
            return "AVIF"
        return "HEIC" if data[8:12] in HEIC_BRANDS else ""
    return next((name for magic, name in _MAGIC.items() if data.startswith(magic)), "")


def check_heic(data: Buffer, name: str) -> None:
    """Check that HEIC is supported if the file is one.

    Raises:
        UnsupportedImage: the file is HEIC and `pillow_heif` is not installed.
    """
    if detect_format(data) == "HEIC" and not HEIC_SUPPORTED:
        raise UnsupportedImage(
            f"{name} is HEIC, and HEIC support is not installed on this server. Send a JPEG, or "
            "install it on the server: `pip install pillow-heif`."
        )
