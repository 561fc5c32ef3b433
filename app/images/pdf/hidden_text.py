"""Finds text of a page that is not visible: first by signs, then by rendering the page."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.images.pdf import page_objects, visible_text
from app.images.pdf.page_context import PageContext
from app.images.pdf.page_objects import Mark, TextObject
from app.images.pdf.visible_text import Char, Rendering

MIN_COVER_POINTS = 3.0  # points; a thinner line covers no text
TOLERANCE_POINTS = 1.0  # points
COARSE_SCALE, FINE_SCALE = 1.0, 2.0  # pixels per point in which a page is rendered


@dataclass(frozen=True, slots=True)
class Visibility:
    """The rendered page (None if there was no reason to render it) and the hidden text objects.

    hidden: handles of text objects of which at least a part is not visible.
    """

    drawn: Rendering | None
    hidden: frozenset[int]


def inspect(context: PageContext, pictured: bool) -> Visibility:
    """Find hidden text objects; render the page if text may be hidden or a picture may hold text.

    pictured: pictures may hold text.
    """
    found = context.objects
    unseen = frozenset(found.handles[at] for at, hides in found.unseen.items() if hides)
    doubtful = [one for one in _may_be_hidden(context) if not one.hides]
    if not doubtful and not pictured:
        return Visibility(None, unseen)
    scale = FINE_SCALE if pictured else COARSE_SCALE
    drawn = visible_text.render_with_ink(context.page, found.texts, scale, ink=bool(doubtful))
    hidden = {
        one.handle
        for one in doubtful
        if found.nested or not visible_text.is_fully_inked(context.frame.shown(*one.box), drawn)
    }
    return Visibility(drawn, unseen | hidden)


def _may_be_hidden(context: PageContext) -> list[TextObject]:
    """Return text objects with a sign that they may be invisible.

    Signs are the colour, render mode, clip or size, a position outside the page, and filled objects
    that are drawn over the text.
    """
    found = context.objects
    if found.nested or not found.whole:
        return found.texts
    left, bottom, right, top = context.frame.bounds
    x1, y1, x2, y2 = (
        left - TOLERANCE_POINTS,
        bottom - TOLERANCE_POINTS,
        right + TOLERANCE_POINTS,
        top + TOLERANCE_POINTS,
    )
    covers = [
        mark
        for mark in found.marks
        if mark.filled and mark.order > found.orders[0] and _thick(mark)
    ]
    if not covers and not found.unseen and _all_inside(found.boxes, (x1, y1, x2, y2)):
        return []
    doubtful = [
        one
        for one in found.texts
        if not one.visible
        or not (x1 <= one.box[0] and y1 <= one.box[1] and one.box[2] <= x2 and one.box[3] <= y2)
    ]
    if not covers:
        return doubtful
    known = set(doubtful)
    return doubtful + [
        one
        for one in found.texts
        if any(one.order < mark.order and _overlap(one.box, mark.box) for mark in covers)
        and one not in known
    ]


def _all_inside(boxes: Sequence[page_objects.Box], page: page_objects.Box) -> bool:
    lefts, bottoms, rights, tops = zip(*boxes, strict=True)
    least = min(lefts), min(bottoms)
    most = max(rights), max(tops)
    low = least[0] >= page[0] and least[1] >= page[1]
    return bool(low and most[0] <= page[2] and most[1] <= page[3])


def _thick(mark: Mark) -> bool:
    return (
        mark.box[2] - mark.box[0] > MIN_COVER_POINTS
        and mark.box[3] - mark.box[1] > MIN_COVER_POINTS
    )


def _overlap(one: page_objects.Box, other: page_objects.Box) -> bool:
    return (
        one[0] < other[2] - TOLERANCE_POINTS
        and other[0] < one[2] - TOLERANCE_POINTS
        and one[1] < other[3] - TOLERANCE_POINTS
        and other[1] < one[3] - TOLERANCE_POINTS
    )


def visible_characters(
    context: PageContext, chars: Sequence[Char], doubtful: frozenset[int]
) -> tuple[list[Char], int]:
    """Return the visible characters, and the number of invisible ones (spaces are not counted).

    doubtful: handles of the text objects that are checked for ink.
    """
    drawn = visible_text.render_with_ink(context.page, context.objects.texts, FINE_SCALE)
    unseen = {one.handle for one in context.objects.texts if one.hides}
    flags = visible_text.visible_flags(chars, drawn, doubtful)
    flags = [flag and char.owner not in unseen for char, flag in zip(chars, flags, strict=True)]
    kept = [char for char, flag in zip(chars, flags, strict=True) if flag]
    hidden = sum(
        not flag and not char.generated and bool(char.text.strip())
        for char, flag in zip(chars, flags, strict=True)
    )
    return kept, hidden
