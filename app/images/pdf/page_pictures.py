"""Finds parts of a page that show text but are not text: pictures, and letters drawn as paths."""

from collections.abc import Sequence

from PIL import Image

from app.images.pdf import page_objects, reading_order, text_detection, visible_text
from app.images.pdf.page_context import PageContext
from app.images.pdf.visible_text import Char, PageFrame, Rendering

Shares = tuple[float, float, float, float]  # left, top, right, bottom as shares of the sides
MIN_PICTURE_SHARE = 0.004  # share of the page; smaller pictures are icons
MIN_OUTLINES = 12  # number of paths of letter size from which they may be text
OUTLINE_POINTS = (3.0, 90.0)  # smallest side and largest height of such a path, in points
OUTLINE_SEGMENTS = 8  # segments that such a path has at least
COVERING_SHARE = 0.55  # share of the page above which a picture counts as the whole page
# A picture behind at least so many characters is texture if a smaller share of its strips shows
# text.
MIN_TEXT_CHARACTERS, MAX_TEXTURE_SHARE = 120, 0.3
MARGIN_POINTS = 4.0  # points around a region that is read


def suspect_boxes(context: PageContext) -> list[visible_text.Box]:
    """Return the boxes of pictures and of paths that may be letters, as the page is shown."""
    frame = context.frame
    page_area = frame.width * frame.height
    outlines = []
    found = []
    for mark in context.objects.marks:
        box = frame.shown(*mark.box)
        if mark.kind == page_objects.IMAGE:
            if (box[2] - box[0]) * (box[3] - box[1]) >= MIN_PICTURE_SHARE * page_area:
                found.append(_clamped(box, frame))
        elif mark.segments >= OUTLINE_SEGMENTS and mark.filled:
            sides = box[2] - box[0], box[3] - box[1]
            if OUTLINE_POINTS[0] <= min(sides) and sides[1] <= OUTLINE_POINTS[1]:
                outlines.append(_clamped(box, frame))
    return found + (outlines if len(outlines) >= MIN_OUTLINES else [])


def _clamped(box: visible_text.Box, frame: PageFrame) -> visible_text.Box:
    return max(0.0, box[0]), max(0.0, box[1]), min(frame.width, box[2]), min(frame.height, box[3])


def boxes_with_text(boxes: Sequence[visible_text.Box], drawn: Rendering) -> list[visible_text.Box]:
    """Return the boxes of those pictures that show text, from top to bottom."""
    places = [place for place in _grouped(boxes) if text_detection.holds_text(_cut(place, drawn))]
    return sorted(places, key=lambda place: place[1])


def _cut(place: visible_text.Box, drawn: Rendering) -> Image.Image:
    left, top, right, bottom = (round(side * drawn.scale) for side in place)
    return drawn.without_text.crop((left, top, right, bottom))


def _grouped(boxes: Sequence[visible_text.Box]) -> list[visible_text.Box]:
    """Merge boxes that touch: a scan may consist of strips, and outlines of one path per letter."""
    groups: list[visible_text.Box] = []
    for box in sorted(boxes, key=lambda one: (one[1], one[0])):
        grown = box
        while near := [one for one in groups if _touch(one, grown)]:
            for one in near:
                groups.remove(one)
                grown = reading_order.union(grown, one)
        groups.append(grown)
    return groups


def _touch(one: visible_text.Box, other: visible_text.Box) -> bool:
    return (
        one[0] <= other[2] + MARGIN_POINTS
        and other[0] <= one[2] + MARGIN_POINTS
        and one[1] <= other[3] + MARGIN_POINTS
        and other[1] <= one[3] + MARGIN_POINTS
    )


def covers_page(place: visible_text.Box, frame: PageFrame) -> bool:
    """Return whether a picture covers so much of the page that it counts as the whole page."""
    return (place[2] - place[0]) * (
        place[3] - place[1]
    ) > COVERING_SHARE * frame.width * frame.height


def is_texture(
    places: Sequence[visible_text.Box], chars: Sequence[Char], drawn: Rendering | None
) -> bool:
    """Return whether the pictures are only a background texture behind a page of text."""
    count = sum(not char.generated and bool(char.text.strip()) for char in chars)
    if count < MIN_TEXT_CHARACTERS or drawn is None:
        return False
    shares = [text_detection.text_strip_share(_cut(place, drawn)) for place in places]
    return max(shares) < MAX_TEXTURE_SHARE


def is_scan_layer(context: PageContext, boxes: Sequence[visible_text.Box]) -> bool:
    """Return whether the layer is the OCR layer of a scan: text over a picture of the page."""
    return any(covers_page(box, context.frame) for box in boxes)


def split_around(chars: Sequence[Char], first: visible_text.Box) -> tuple[list[Char], list[Char]]:
    """Split the layer's characters into those before and those after the first picture.

    Text to the left of the picture is before it.
    """
    above: list[Char] = []
    below: list[Char] = []
    side = above
    for char in chars:
        if not char.generated and char.text.strip():
            middle = (char.box[1] + char.box[3]) / 2
            beside = middle <= first[3] and char.box[2] <= first[0]
            side = above if middle < first[1] or beside else below
        side.append(char)
    return above, below


def page_shares(region: visible_text.Box, frame: PageFrame) -> Shares:
    """Return a region with `MARGIN_POINTS` around it, as shares of the page's sides."""
    left, top, right, bottom = _clamped(
        (
            region[0] - MARGIN_POINTS,
            region[1] - MARGIN_POINTS,
            region[2] + MARGIN_POINTS,
            region[3] + MARGIN_POINTS,
        ),
        frame,
    )
    width, height = frame.width, frame.height
    return left / width, top / height, right / width, bottom / height


def contains_center(box: visible_text.Box, region: visible_text.Box) -> bool:
    """Return whether the centre of a box is in a region."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return region[0] <= x <= region[2] and region[1] <= y <= region[3]
