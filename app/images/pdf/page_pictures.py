"""Parts of a page that are no text and may hold some: pictures, and letters drawn as shapes."""

from collections.abc import Sequence

from PIL import Image

from app.images.pdf import page_objects, picture_text, reading_order, visible_text
from app.images.pdf.sheet import Sheet
from app.images.pdf.visible_text import Char, Drawn, Frame

Shares = tuple[float, float, float, float]  # left, top, right, bottom, of the page's sides
LEAST_PICTURE = 0.004  # of the page; smaller ones are icons
OUTLINES = 12  # shapes as tall as letters, from which they may be some
OUTLINE_POINTS = (3.0, 90.0)
OUTLINE_SEGMENTS = 8
COVERS = 0.55  # of the page, from which a picture is the page
MUCH_TEXT, TEXTURE = 120, 0.3  # characters on it; share of its strips that seem to hold text
MARGIN = 4.0  # points around a part that is read


def suspects(sheet: Sheet) -> list[visible_text.Box]:
    """Places of pictures, and of shapes that may be letters, as the page is shown."""
    frame = sheet.frame
    page_area = frame.width * frame.height
    outlines = []
    found = []
    for mark in sheet.objects.marks:
        box = frame.shown(*mark.box)
        if mark.kind == page_objects.IMAGE:
            if (box[2] - box[0]) * (box[3] - box[1]) >= LEAST_PICTURE * page_area:
                found.append(_clamped(box, frame))
        elif mark.segments >= OUTLINE_SEGMENTS and mark.filled:
            sides = box[2] - box[0], box[3] - box[1]
            if OUTLINE_POINTS[0] <= min(sides) and sides[1] <= OUTLINE_POINTS[1]:
                outlines.append(_clamped(box, frame))
    return found + (outlines if len(outlines) >= OUTLINES else [])


def _clamped(box: visible_text.Box, frame: Frame) -> visible_text.Box:
    return max(0.0, box[0]), max(0.0, box[1]), min(frame.width, box[2]), min(frame.height, box[3])


def pictured(boxes: Sequence[visible_text.Box], drawn: Drawn) -> list[visible_text.Box]:
    """The places of pictures that hold text, from the top down."""
    places = [place for place in _grouped(boxes) if picture_text.holds_text(_cut(place, drawn))]
    return sorted(places, key=lambda place: place[1])


def _cut(place: visible_text.Box, drawn: Drawn) -> Image.Image:
    left, top, right, bottom = (round(side * drawn.scale) for side in place)
    return drawn.bare.crop((left, top, right, bottom))


def _grouped(boxes: Sequence[visible_text.Box]) -> list[visible_text.Box]:
    """Boxes that touch, as one: scans come in strips, outlines a letter each."""
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
        one[0] <= other[2] + MARGIN
        and other[0] <= one[2] + MARGIN
        and one[1] <= other[3] + MARGIN
        and other[1] <= one[3] + MARGIN
    )


def covers(place: visible_text.Box, frame: Frame) -> bool:
    """Whether a picture is the page, rather than on it."""
    return (place[2] - place[0]) * (place[3] - place[1]) > COVERS * frame.width * frame.height


def texture(places: Sequence[visible_text.Box], chars: Sequence[Char], drawn: Drawn | None) -> bool:
    """Whether a page of text has a picture behind it in which hardly any row of letters shows."""
    said = sum(not char.generated and bool(char.text.strip()) for char in chars)
    if said < MUCH_TEXT or drawn is None:
        return False
    shares = [picture_text.strips_of_text(_cut(place, drawn)) for place in places]
    return max(shares) < TEXTURE


def over_picture(sheet: Sheet, boxes: Sequence[visible_text.Box]) -> bool:
    """Whether the layer is a scan's own: invisible text over a picture of the page."""
    return any(covers(box, sheet.frame) for box in boxes)


def around(chars: Sequence[Char], first: visible_text.Box) -> tuple[list[Char], list[Char]]:
    """The layer's lines before and after the first picture that is read. Those to its left are
    before it."""
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


def shares(region: visible_text.Box, frame: Frame) -> Shares:
    """The region with a margin, as shares of the page's width and height."""
    left, top, right, bottom = _clamped(
        (region[0] - MARGIN, region[1] - MARGIN, region[2] + MARGIN, region[3] + MARGIN), frame
    )
    width, height = frame.width, frame.height
    return left / width, top / height, right / width, bottom / height


def within(box: visible_text.Box, region: visible_text.Box) -> bool:
    """Whether the middle of a box is in a region."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return region[0] <= x <= region[2] and region[1] <= y <= region[3]
