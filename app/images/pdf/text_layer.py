"""Decides whether the text layer of a PDF page can be used in place of a picture of the page.

The layer is used if it matches what is drawn (its fonts claim the text that they draw, and the text
is visible) and if it is complete (no picture or path on the page shows text). Cheap checks come
first: a page of dark text alone passes them. If one of them fails, the page is rendered and the
pixels are checked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from app.images.pdf import (
    font_claims,
    hidden_text,
    page_objects,
    page_pictures,
    reading_order,
    visible_text,
)
from app.images.pdf.font_claims import FontState
from app.images.pdf.hidden_text import Visibility
from app.images.pdf.layer_text import normalize_layer_text
from app.images.pdf.page_context import PageContext
from app.images.pdf.page_objects import handle_of
from app.images.pdf.page_pictures import Shares
from app.images.pdf.visible_text import Char, PageFrame

MIN_TEXT_CHARACTERS = 16  # characters; a shorter text is a page number or a stamp on a scan

MISMATCH_NOTE = "its text layer does not match what is drawn, so the page was read as a picture"
HIDDEN_NOTE = "{count} characters of its text layer are not visible on the page and were left out"


@dataclass(frozen=True, slots=True)
class TextLayer:
    """The usable text of a page.

    text: None if the whole page must be read as a picture.
    notes: warnings for the user, without the page's name and the final period.
    region: the part of the page that must be read as a picture, between `text` and `text_below`;
        None if there is none.
    """

    text: str | None
    notes: tuple[str, ...] = ()
    region: Shares | None = None
    text_below: str = ""


def read_text_layer(
    page: Any, fonts: FontState, *, filled: bool = False, checked: Sequence[page_objects.Box] = ()
) -> TextLayer:
    """Return the text layer of an open page, as far as it is usable.

    Args:
        fonts: the verdicts on the document's fonts; they are updated.
        filled: the annotations were flattened, so that the order of the text is not that of the
            file.
        checked: boxes of checked check boxes (left, bottom, right, top in points).
    """
    text_page = page.get_textpage()
    try:
        found = page_objects.list_objects(handle_of(page))
        context = PageContext(page, text_page, found, PageFrame.of(page), filled, checked)
        return _read(context, fonts)
    finally:
        text_page.close()


def _read(context: PageContext, fonts: FontState) -> TextLayer:
    if not context.objects.handles:
        return TextLayer(None)
    if font_claims.has_broken_font(context, fonts):
        return TextLayer(None, (MISMATCH_NOTE,))
    pictured = page_pictures.suspect_boxes(context)
    seen = hidden_text.inspect(context, bool(pictured))
    if not seen.hidden and not pictured and not _needs_order(context):
        text = normalize_layer_text(context.text_page.get_text_range())
        return TextLayer(text if _has_enough_text(text) else None)
    return _read_by_appearance(context, seen, pictured)


def _read_by_appearance(
    context: PageContext, seen: Visibility, pictured: list[visible_text.Box]
) -> TextLayer:
    """Judge the layer by the rendered page."""
    places = page_pictures.boxes_with_text(pictured, seen.drawn) if pictured and seen.drawn else []
    if not seen.hidden and not places and not _needs_order(context):
        text = normalize_layer_text(context.text_page.get_text_range())
        return TextLayer(text if _has_enough_text(text) else None)
    chars = visible_text.characters(handle_of(context.text_page), context.frame)
    notes: tuple[str, ...] = ()
    if seen.hidden:
        chars, count = hidden_text.visible_characters(context, chars, seen.hidden)
        notes = (HIDDEN_NOTE.format(count=count),) if count else ()
    chars = [*chars, *_check_marks(context, chars)]
    if any(page_pictures.covers_page(place, context.frame) for place in places):
        if not page_pictures.is_texture(places, chars, seen.drawn):
            return TextLayer(None, () if page_pictures.is_scan_layer(context, pictured) else notes)
        places = []
    if places:
        above, below = page_pictures.split_around(chars, places[0])
        shares = page_pictures.page_shares(reduce(reading_order.union, places), context.frame)
        return TextLayer(_to_text(context, above), notes, shares, _to_text(context, below))
    text = _to_text(context, chars)
    return TextLayer(text if _has_enough_text(text) else None, notes)


CHECK_MARK = "\u2612"


def _check_marks(context: PageContext, chars: Sequence[Char]) -> list[Char]:
    """Return marks for the checked check boxes whose mark is not drawn as text."""
    boxes = [context.frame.shown(*place) for place in context.checked_boxes]
    return [
        Char(CHECK_MARK, box, generated=False, owner=0)
        for box in boxes
        if not any(
            page_pictures.contains_center(char.box, box) for char in chars if not char.generated
        )
    ]


def _has_enough_text(text: str) -> bool:
    return len("".join(text.split())) >= MIN_TEXT_CHARACTERS


def _needs_order(context: PageContext) -> bool:
    """Return whether the order of the text in the file may not be the reading order."""
    if context.annotations_flattened or context.sideways:
        return True
    return _crosses(context.objects.boxes) >= reading_order.MIN_COLUMN_LINES


def _crosses(boxes: Sequence[page_objects.Box]) -> int:
    """Count how often a text is followed by one on the same line, far to the right."""
    count = 0
    last = None
    for box in boxes:
        if last is not None and box[0] - last[2] > 12:
            level = abs(box[1] + box[3] - last[1] - last[3]) < box[3] - box[1]
            count += level and last[2] - last[0] > 90 and box[2] - box[0] > 90
        last = box
    return count


def _to_text(context: PageContext, chars: Sequence[Char]) -> str:
    """Return characters as text, in the file's order if that is the reading order."""
    placed = (
        context.annotations_flattened
        or reading_order.direction(chars) != 0
        or reading_order.reads_across_columns(chars)
    )
    text = reading_order.arrange(chars) if placed else "".join(char.text for char in chars)
    return normalize_layer_text(text)
