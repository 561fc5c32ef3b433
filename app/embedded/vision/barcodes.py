"""Decodes QR codes and barcodes."""

from dataclasses import dataclass

import zxingcpp

from app.embedded.images.pixels import Pixels


@dataclass(frozen=True, slots=True)
class Barcode:
    """A decoded barcode: its format (`QR Code`, `EAN-13`) and content."""

    format: str
    content: str


def read_barcodes(image: Pixels) -> tuple[Barcode, ...]:
    """All barcodes with a valid checksum."""
    found = zxingcpp.read_barcodes(image)
    return tuple(Barcode(str(code.format), code.text) for code in found if code.valid)
