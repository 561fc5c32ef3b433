"""QR codes and barcodes, and what they contain."""

from dataclasses import dataclass

import zxingcpp

from app.embedded.images.pixels import Pixels


@dataclass(frozen=True, slots=True)
class Code:
    """A code as it was decoded: its kind (`QR Code`, `EAN-13`) and its content."""

    kind: str
    content: str


def codes(image: Pixels) -> tuple[Code, ...]:
    """Every code whose checksum is right; one that is not is none."""
    found = zxingcpp.read_barcodes(image)
    return tuple(Code(str(code.format), code.text) for code in found if code.valid)
