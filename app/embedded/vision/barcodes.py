"""QR codes and barcodes, and what they contain."""

from dataclasses import dataclass

import zxingcpp

from app.embedded.images.pixels import Pixels


@dataclass(frozen=True, slots=True)
class Barcode:
    """A code as it was decoded: its kind (`QR Code`, `EAN-13`) and its content."""

    format: str
    content: str


def read_barcodes(image: Pixels) -> tuple[Barcode, ...]:
    """Every code whose checksum is right; one that is not is none."""
    found = zxingcpp.read_barcodes(image)
    return tuple(Barcode(str(code.format), code.text) for code in found if code.valid)
