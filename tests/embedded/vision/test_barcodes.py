"""Decoding of drawn barcodes."""

import cv2
import numpy as np
import zxingcpp

from app.embedded.images.pixels import Pixels
from app.embedded.vision.barcodes import Barcode, read_barcodes


def drawn(content: str, barcode_format: zxingcpp.BarcodeFormat) -> Pixels:
    """A barcode with a white margin, (height, width, 3)."""
    code = zxingcpp.create_barcode(content, barcode_format)
    image = np.asarray(zxingcpp.write_barcode_to_image(code, scale=4), dtype=np.uint8)
    page = cv2.copyMakeBorder(image, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=255)
    return np.asarray(cv2.cvtColor(page, cv2.COLOR_GRAY2BGR), dtype=np.uint8)


def test_format_and_content() -> None:
    assert read_barcodes(drawn("9783161484100", zxingcpp.BarcodeFormat.EAN13)) == (
        Barcode("EAN-13", "9783161484100"),
    )


def test_none() -> None:
    assert read_barcodes(np.full((200, 200, 3), 255, dtype=np.uint8)) == ()
