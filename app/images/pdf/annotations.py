"""Annotations of a PDF page: filled form fields, notes, stamps, signatures.

They are drawn on the page, but are not part of the page's content, from which the text layer is
read.
"""

import ctypes
from typing import Any

from pypdfium2 import raw  # type: ignore[import-untyped]

from app.images.pdf.page_objects import Box, bind_function, handle_of

CHECKABLE_TYPES = {raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON}

_V, _I = ctypes.c_void_p, ctypes.c_int
_count = bind_function(raw.FPDFPage_GetAnnotCount, _I, _V)
_get = bind_function(raw.FPDFPage_GetAnnot, _V, _V, _I)
_subtype = bind_function(raw.FPDFAnnot_GetSubtype, _I, _V)
_close = bind_function(raw.FPDFPage_CloseAnnot, None, _V)

# Annotations that draw no text of their own: links, marks over the page's text, popups.
TEXTLESS_TYPES = {
    raw.FPDF_ANNOT_TEXT,
    raw.FPDF_ANNOT_LINK,
    raw.FPDF_ANNOT_HIGHLIGHT,
    raw.FPDF_ANNOT_UNDERLINE,
    raw.FPDF_ANNOT_SQUIGGLY,
    raw.FPDF_ANNOT_STRIKEOUT,
    raw.FPDF_ANNOT_POPUP,
}


def draws_text(page: Any) -> bool:
    """Return whether a page has annotations that may draw text."""
    handle = handle_of(page)
    for at in range(_count(handle)):
        annotation = _get(handle, at)
        kind = _subtype(annotation) if annotation else raw.FPDF_ANNOT_LINK
        _close(annotation)
        if kind not in TEXTLESS_TYPES:
            return True
    return False


def checked_boxes(page: Any, form: Any) -> list[Box]:
    """Return the boxes of the checked check boxes and radio buttons, in points of the page."""
    if form is None:
        return []
    rect = raw.FS_RECTF()
    places = []
    for at in range(raw.FPDFPage_GetAnnotCount(page.raw)):
        annotation = raw.FPDFPage_GetAnnot(page.raw, at)
        kind = raw.FPDFAnnot_GetFormFieldType(form.raw, annotation)
        if kind in CHECKABLE_TYPES and raw.FPDFAnnot_IsChecked(form.raw, annotation):
            raw.FPDFAnnot_GetRect(annotation, rect)
            places.append((rect.left, rect.bottom, rect.right, rect.top))
        raw.FPDFPage_CloseAnnot(annotation)
    return places


def flatten(page: Any) -> bool:
    """Flatten the annotations into the page's content, in memory.

    Returns:
        Whether the content changed, so that the page must be opened again.
    """
    return bool(raw.FPDFPage_Flatten(page.raw, raw.FLAT_NORMALDISPLAY) == raw.FLATTEN_SUCCESS)
