"""Annotations of a PDF page: fields that were filled in, notes, stamps, signatures.

They are drawn, but stand outside of the page's content, where a text layer is read from.
"""

import ctypes
from typing import Any

from pypdfium2 import raw  # type: ignore[import-untyped]

from app.images.pdf.page_objects import Box, call, handle_of

BOXES = {raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON}

_V, _I = ctypes.c_void_p, ctypes.c_int
_count = call(raw.FPDFPage_GetAnnotCount, _I, _V)
_get = call(raw.FPDFPage_GetAnnot, _V, _V, _I)
_subtype = call(raw.FPDFAnnot_GetSubtype, _I, _V)
_close = call(raw.FPDFPage_CloseAnnot, None, _V)

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
    handle = handle_of(page)
    for at in range(_count(handle)):
        annotation = _get(handle, at)
        kind = _subtype(annotation) if annotation else raw.FPDF_ANNOT_LINK
        _close(annotation)
        if kind not in SILENT:
            return True
    return False


def checked(page: Any, form: Any) -> list[Box]:
    """Places of the check boxes and radio buttons that are set, as left, bottom, right, top."""
    if form is None:
        return []
    rect = raw.FS_RECTF()
    places = []
    for at in range(raw.FPDFPage_GetAnnotCount(page.raw)):
        annotation = raw.FPDFPage_GetAnnot(page.raw, at)
        kind = raw.FPDFAnnot_GetFormFieldType(form.raw, annotation)
        if kind in BOXES and raw.FPDFAnnot_IsChecked(form.raw, annotation):
            raw.FPDFAnnot_GetRect(annotation, rect)
            places.append((rect.left, rect.bottom, rect.right, rect.top))
        raw.FPDFPage_CloseAnnot(annotation)
    return places


def into_page(page: Any) -> bool:
    """Put what annotations draw into the page's content, in memory; whether it must be opened
    again to be seen."""
    return bool(raw.FPDFPage_Flatten(page.raw, raw.FLAT_NORMALDISPLAY) == raw.FLATTEN_SUCCESS)
