"""Kinds of files, told by their bytes and never by their name."""

from importlib.util import find_spec

from app.errors import UnsupportedImage

PILLOW = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"]
TAKEN = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC and PDF"
HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}


def _register_heic() -> bool:
    """HEIC is an extra: its wheel holds codecs under the LGPL and the GPL."""
    if find_spec("pillow_heif") is None:
        return False
    from pillow_heif import register_heif_opener  # noqa: PLC0415 - only where it is there

    register_heif_opener(thumbnails=False)
    return True


READS_HEIC = _register_heic()
FORMATS = [*PILLOW, "HEIF"] if READS_HEIC else PILLOW


def is_pdf(data: bytes) -> bool:
    """Readers take a header anywhere in the first 1,024 bytes (ISO 32000-1, annex H.3.4.1)."""
    return b"%PDF-" in data[:1024]


def is_tiff(data: bytes) -> bool:
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def check_heic(data: bytes, name: str) -> None:
    """Raises UnsupportedImage for a HEIC file where it cannot be read here."""
    brand = data[8:12] if data[4:8] == b"ftyp" else b""
    if brand in HEIC_BRANDS and b"avif" not in data[16:64] and not READS_HEIC:
        raise UnsupportedImage(
            f"{name} is HEIC, which this server cannot read as installed. On the server: "
            "`pip install pillow-heif`. Or send it as JPEG."
        )
