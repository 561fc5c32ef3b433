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
from app.images.pdf.font_claims import Fonts
from app.images.pdf.hidden_text import Seen
from app.images.pdf.layer_form import cleaned
from app.images.pdf.page_objects import handle_of
from app.images.pdf.page_pictures import Shares
from app.images.pdf.sheet import Sheet
from app.images.pdf.visible_text import Char, Frame

LEAST_TEXT = 16  # characters; a shorter text is a page number or a stamp on a scan

UNLIKE = "its text layer does not match what is drawn, so the page was read as a picture"
HIDDEN = "{count} characters of its text layer are not visible on the page and were left out"


@dataclass(frozen=True, slots=True)
class Layer:
    """The usable text of a page.

    text: None if the whole page must be read as a picture.
    notes: warnings for the user, without the page's name and the final period.
    region: the part of the page that must be read as a picture, between `text` and `below`; None
        if there is none.
    """

    text: str | None
    notes: tuple[str, ...] = ()
    region: Shares | None = None
    below: str = ""


def layer(
    page: Any, fonts: Fonts, *, filled: bool = False, checked: Sequence[page_objects.Box] = ()
) -> Layer:
    """Return the text layer of an open page, as far as it is usable.

    Args:
        fonts: the verdicts on the document's fonts; they are updated.
        filled: the annotations were flattened, so that the order of the text is not that of the
            file.
        checked: boxes of checked check boxes (left, bottom, right, top in points).
    """
    text_page = page.get_textpage()
    try:
        found = page_objects.objects(handle_of(page))
        sheet = Sheet(page, text_page, found, Frame.of(page), filled, checked)
        return _judged(sheet, fonts)
    finally:
        text_page.close()


def _judged(sheet: Sheet, fonts: Fonts) -> Layer:
    if not sheet.objects.handles:
        return Layer(None)
    if font_claims.broken(sheet, fonts):
        return Layer(None, (UNLIKE,))
    pictured = page_pictures.suspects(sheet)
    seen = hidden_text.look(sheet, bool(pictured))
    if not seen.hidden and not pictured and not _needs_order(sheet):
        text = cleaned(sheet.text_page.get_text_range())
        return Layer(text if _enough(text) else None)
    return _looked_at(sheet, seen, pictured)


def _looked_at(sheet: Sheet, seen: Seen, pictured: list[visible_text.Box]) -> Layer:
    """Judge the layer by the rendered page."""
    places = page_pictures.pictured(pictured, seen.drawn) if pictured and seen.drawn else []
    if not seen.hidden and not places and not _needs_order(sheet):
        text = cleaned(sheet.text_page.get_text_range())
        return Layer(text if _enough(text) else None)
    chars = visible_text.characters(handle_of(sheet.text_page), sheet.frame)
    notes: tuple[str, ...] = ()
    if seen.hidden:
        chars, count = hidden_text.kept(sheet, chars, seen.hidden)
        notes = (HIDDEN.format(count=count),) if count else ()
    chars = [*chars, *_checks(sheet, chars)]
    if any(page_pictures.covers(place, sheet.frame) for place in places):
        if not page_pictures.texture(places, chars, seen.drawn):
            return Layer(None, () if page_pictures.over_picture(sheet, pictured) else notes)
        places = []
    if places:
        above, below = page_pictures.around(chars, places[0])
        shares = page_pictures.shares(reduce(reading_order.union, places), sheet.frame)
        return Layer(_written(sheet, above), notes, shares, _written(sheet, below))
    text = _written(sheet, chars)
    return Layer(text if _enough(text) else None, notes)


CHECKED = "\u2612"


def _checks(sheet: Sheet, chars: Sequence[Char]) -> list[Char]:
    """Return marks for the checked check boxes whose mark is not drawn as text."""
    boxes = [sheet.frame.shown(*place) for place in sheet.checked]
    return [
        Char(CHECKED, box, generated=False, owner=0)
        for box in boxes
        if not any(page_pictures.within(char.box, box) for char in chars if not char.generated)
    ]


def _enough(text: str) -> bool:
    return len("".join(text.split())) >= LEAST_TEXT


def _needs_order(sheet: Sheet) -> bool:
    """Return whether the order of the text in the file may not be the reading order."""
    if sheet.filled or sheet.sideways:
        return True
    return _crosses(sheet.objects.boxes) >= reading_order.LEAST_LINES


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


def _written(sheet: Sheet, chars: Sequence[Char]) -> str:
    """Return characters as text, in the file's order if that is the reading order."""
    placed = (
        sheet.filled or reading_order.direction(chars) != 0 or reading_order.across_columns(chars)
    )
    text = reading_order.arranged(chars) if placed else "".join(char.text for char in chars)
    return cleaned(text)
