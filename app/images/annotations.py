"""Annotations of a PDF page: fields that were filled in, notes, stamps, signatures.

They are drawn, but stand outside of the page's content, where a text layer is read from.
"""

from typing import Any

from pypdfium2 import raw  # type: ignore[import-untyped]

# They draw no text of their own: links, marks over the page's text, and what a click opens.
SILENT = {
    raw.FPDF_ANNOT_TEXT,
    raw.FPDF_ANNOT_LINK,
    raw.FPDF_ANNOT_HIGHLIGHT,
    raw.FPDF_ANNOT_UNDERLINE,
    raw.FPDF_ANNOT_SQUIGGLY,
    raw.FPDF_ANNOT_STRIKEOUT,
    raw.FPDF_ANNOT_POPUP,
}


def drawn(page: Any) -> bool:
    """Whether a page has annotations that may draw text."""
    for at in range(raw.FPDFPage_GetAnnotCount(page.raw)):
        annotation = raw.FPDFPage_GetAnnot(page.raw, at)
        kind = raw.FPDFAnnot_GetSubtype(annotation)
        raw.FPDFPage_CloseAnnot(annotation)
        if kind not in SILENT:
            return True
    return False


def into_page(page: Any) -> bool:
    """Put what annotations draw into the page's content, in memory; whether it must be opened
    again to be seen."""
    return bool(raw.FPDFPage_Flatten(page.raw, raw.FLAT_NORMALDISPLAY) == raw.FLATTEN_SUCCESS)
