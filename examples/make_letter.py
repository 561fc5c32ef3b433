"""Writes `letter.pdf`: a page with a text layer, and the table of `table.png` as a scanned page.

python examples/make_letter.py
"""

import ctypes
from pathlib import Path

import pypdfium2 as pdfium  # type: ignore[import-untyped]
from PIL import Image
from pypdfium2 import raw  # type: ignore[import-untyped]

HERE = Path(__file__).parent
A4 = (595, 842)  # points
LETTER = (
    "Pikolo Services Ltd.",
    "17 July 2026",
    "",
    "Dear customer,",
    "",
    "please find on the next page the report of the first half of the year.",
    "Errors in March came from a broken disk, which was replaced the same day.",
    "",
    "Kind regards,",
    "Operations",
)


def write_text(document: pdfium.PdfDocument) -> None:
    """A page of lines in Helvetica, which every reader has."""
    page = document.new_page(*A4)
    for number, line in enumerate(LETTER):
        text = raw.FPDFPageObj_NewTextObj(document, b"Helvetica", 12.0)
        letters = ctypes.create_string_buffer(line.encode("utf-16-le") + b"\0\0")
        raw.FPDFText_SetText(text, ctypes.cast(letters, raw.FPDF_WIDESTRING))
        raw.FPDFPageObj_Transform(text, 1, 0, 0, 1, 70, A4[1] - 100 - 18 * number)
        raw.FPDFPage_InsertObject(page, text)
    page.gen_content()


def write_scan(document: pdfium.PdfDocument, image: Image.Image) -> None:
    """A page that is a picture."""
    page = document.new_page(A4[1], A4[0])
    height = A4[1] * image.height / image.width
    shown = pdfium.PdfImage.new(document)
    shown.set_bitmap(pdfium.PdfBitmap.from_pil(image))
    shown.set_matrix(pdfium.PdfMatrix().scale(A4[1], height).translate(0, (A4[0] - height) / 2))
    page.insert_obj(shown)
    page.gen_content()


def main() -> None:
    """Write the PDF."""
    document = pdfium.PdfDocument.new()
    write_text(document)
    write_scan(document, Image.open(HERE / "table.png").convert("RGB"))
    document.save(HERE / "letter.pdf")


if __name__ == "__main__":
    main()
