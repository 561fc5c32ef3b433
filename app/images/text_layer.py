"""Whether a PDF page's text layer can stand for the page, and what of it.

It serves where it is what is drawn (its fonts claim what they show, and it can be seen) and where
it is the page (no picture or drawn shape beside it holds text). Cheap signs come first: a page of
dark text and nothing else needs no second look. Where a sign is there, the page is drawn and
looked at.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from PIL import Image
from pypdfium2 import raw  # type: ignore[import-untyped]

from app.images import glyph_check, page_objects, picture_text, reading_order, visible_text
from app.images.language_check import Verdict, judge
from app.images.page_objects import Mark, Objects, TextObject, handle_of
from app.images.visible_text import Char, Drawn, Frame

LEAST_TEXT = 16  # characters; less is a page number or a stamp on a scan
LEAST_CLAIM = 4  # characters of a font that count on a page
LEAST_SHARE = 0.03  # and their share of it
SHAPE_SHARE = 0.08  # from which the shapes of a doubtful font are looked at
LINE_HYPHEN = "\ufffe"  # PDFium's mark for a hyphen at a line's end
ENOUGH = 400  # characters of a font that are judged
RARE = 5  # pages on which one may say little before it is let be
TRIES = 3  # pages on which one is judged that stays doubtful
Shares = tuple[float, float, float, float]  # left, top, right, bottom, of the page's sides

UNLIKE = "its text layer is not what is drawn, so the page itself was read"
HIDDEN = "{count} characters of its text layer cannot be seen on the page and were left out"


@dataclass(frozen=True, slots=True)
class Layer:
    """What a page's own text says. `text` is None where the page must be read. Where `region` is
    there, that part of it must, between `text` and `below`."""

    text: str | None
    notes: tuple[str, ...] = ()
    region: Shares | None = None
    below: str = ""


@dataclass(slots=True)
class Fonts:
    """What is known of a document's fonts so far, by their handles."""

    samples: dict[int, str] = field(default_factory=lambda: defaultdict(str))
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    tries: Counter[int] = field(default_factory=Counter)
    rare: Counter[int] = field(default_factory=Counter)  # pages on which one said little


@dataclass(frozen=True, slots=True)
class Sheet:
    """One open page and what is on it."""

    page: Any
    text_page: Any
    objects: Objects
    frame: Frame
    filled: bool


def layer(page: Any, fonts: Fonts, *, filled: bool = False) -> Layer:
    """The text layer of an open page, as far as it serves.

    Args:
        filled: what annotations draw was put into the page, so that its order is not the file's.
    """
    text_page = page.get_textpage()
    try:
        found = page_objects.objects(handle_of(page))
        sheet = Sheet(page, text_page, found, Frame.of(page), filled)
        return _judged(sheet, fonts)
    finally:
        text_page.close()


def _judged(sheet: Sheet, fonts: Fonts) -> Layer:
    if not sheet.objects.handles:
        return Layer(None)
    if _broken(sheet, fonts):
        return Layer(None, (UNLIKE,))
    pictured = _suspects(sheet)
    seen = _drawn_for(sheet, bool(pictured))
    if not seen.hidden and not pictured and not _needs_order(sheet):
        text = cleaned(sheet.text_page.get_text_range())
        return Layer(text if _enough(text) else None)
    return _looked_at(sheet, seen, pictured)


def _looked_at(sheet: Sheet, seen: "Seen", pictured: list[visible_text.Box]) -> Layer:
    """By what is drawn."""
    places = _pictured(pictured, seen.drawn) if pictured and seen.drawn else []
    if not seen.hidden and not places and not _needs_order(sheet):
        text = cleaned(sheet.text_page.get_text_range())
        return Layer(text if _enough(text) else None)
    chars = visible_text.characters(handle_of(sheet.text_page), sheet.frame)
    notes: tuple[str, ...] = ()
    if seen.hidden:
        chars, count = _kept(sheet, chars, seen.hidden)
        notes = (HIDDEN.format(count=count),) if count else ()
    if any(_covers(place, sheet.frame) for place in places):
        if not _texture(places, chars, seen.drawn):
            return Layer(None, () if _over_picture(sheet, pictured) else notes)
        places = []
    if places:
        above, below = _around(chars, places[0])
        shares = _shares(reduce(reading_order.union, places), sheet.frame)
        return Layer(_written(sheet, above), notes, shares, _written(sheet, below))
    text = _written(sheet, chars)
    return Layer(text if _enough(text) else None, notes)


def _enough(text: str) -> bool:
    return len("".join(text.split())) >= LEAST_TEXT


# --- fonts ---------------------------------------------------------------------------------------


def _broken(sheet: Sheet, fonts: Fonts) -> bool:
    """Whether a font that matters on this page claims what it does not draw."""
    new = set(sheet.objects.fonts) - fonts.verdicts.keys()
    if not new and Verdict.BROKEN not in fonts.verdicts.values():
        return False
    texts = [one for one in sheet.objects.texts if not one.hides]
    text_page = handle_of(sheet.text_page)
    said: dict[int, str] = defaultdict(str)
    total = max(1, raw.FPDFText_CountChars(sheet.text_page.raw))
    broken = {font for font, one in fonts.verdicts.items() if one is Verdict.BROKEN}
    read = [one for one in texts if one.font in new or one.font in broken]
    for one, text in zip(read, page_objects.said_by(read, text_page), strict=True):
        said[one.font] += text + " "
    for font in new:
        least = max(LEAST_CLAIM, LEAST_SHARE * total)
        count = len("".join(said[font].split()))
        if count >= least:
            _learn(sheet, fonts, font, said[font], count / total)
        elif fonts.rare[font] == RARE:
            fonts.verdicts[font] = Verdict.DOUBT
        fonts.rare[font] += 1
    claimed = sum(
        len("".join(text.split()))
        for font, text in said.items()
        if fonts.verdicts.get(font) is Verdict.BROKEN
    )
    return bool(claimed >= max(LEAST_CLAIM, LEAST_SHARE * total))


def _learn(sheet: Sheet, fonts: Fonts, font: int, said: str, share: float) -> None:
    sample = fonts.samples[font] = (fonts.samples[font] + " " + said)[-2 * ENOUGH :]
    judged = judge(bulleted(_LINE_HYPHENS.sub("-", sample)))
    verdict = judged.verdict
    if verdict is Verdict.DOUBT and judged.latin and share >= SHAPE_SHARE:
        right = glyph_check.right(_letters(sheet, font))
        if right is not None:
            verdict = Verdict.SOUND if right else Verdict.BROKEN
    fonts.tries[font] += 1
    if verdict is not Verdict.DOUBT or len(sample) >= ENOUGH or fonts.tries[font] == TRIES:
        fonts.verdicts[font] = verdict


LINES = 3  # text objects of a font whose letters are looked at
LINE_CHARACTERS = 120


def _letters(sheet: Sheet, font: int) -> Iterator[tuple[str, Image.Image]]:
    """Pictures of a font's letters and digits on this page, from a few of its lines."""
    text_page = handle_of(sheet.text_page)
    lines = [one for one in sheet.objects.texts if one.font == font and one.visible]
    read = page_objects.said_by(lines, text_page)
    said = {one: text[:LINE_CHARACTERS] for one, text in zip(lines, read, strict=True)}
    chosen: list[TextObject] = []
    known: set[str] = set()
    while len(chosen) < LINES and said:
        best = max(said, key=lambda one: len(set(said[one]) - known))
        known |= set(said.pop(best))
        chosen.append(best)
    owners = {one.handle for one in chosen}
    chars = visible_text.characters(text_page, sheet.frame, owners)
    quarter = reading_order.direction(chars) if _sideways(sheet) else 0
    for owner in owners:
        line = [char for char in chars if char.owner == owner]
        for char, picture in visible_text.close_ups(sheet.page, line, sheet.frame):
            yield char, picture.rotate(90 * quarter, expand=True) if quarter else picture


# --- what cannot be seen -------------------------------------------------------------------------

THIN = 3.0  # points; a line so thin covers no text
SLACK = 1.0
COARSE, FINE = 1.0, 2.0  # pixels a point that a page is looked at in


@dataclass(frozen=True, slots=True)
class Seen:
    """A page looked at, where there was a reason to; the text objects of which some is hidden."""

    drawn: Drawn | None
    hidden: frozenset[int]


def _drawn_for(sheet: Sheet, pictured: bool) -> Seen:
    """Look at the page where text may be hidden, or where pictures may hold some."""
    found = sheet.objects
    unseen = frozenset(found.handles[at] for at, hides in found.unseen.items() if hides)
    doubtful = [one for one in _may_be_hidden(sheet) if not one.hides]
    if not doubtful and not pictured:
        return Seen(None, unseen)
    scale = FINE if pictured else COARSE
    drawn = visible_text.drawn(sheet.page, found.texts, scale, ink=bool(doubtful))
    hidden = {
        one.handle
        for one in doubtful
        if found.nested or not visible_text.inked(sheet.frame.shown(*one.box), drawn)
    }
    return Seen(drawn, unseen | hidden)


def _may_be_hidden(sheet: Sheet) -> list[TextObject]:
    """Texts with a sign that they may not be seen: their colour, mode, clip or size, their place
    off the page, or something drawn over them."""
    found = sheet.objects
    if found.nested or not found.whole:
        return found.texts
    left, bottom, right, top = sheet.frame.bounds
    x1, y1, x2, y2 = left - SLACK, bottom - SLACK, right + SLACK, top + SLACK
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
    return mark.box[2] - mark.box[0] > THIN and mark.box[3] - mark.box[1] > THIN


def _overlap(one: page_objects.Box, other: page_objects.Box) -> bool:
    return (
        one[0] < other[2] - SLACK
        and other[0] < one[2] - SLACK
        and one[1] < other[3] - SLACK
        and other[1] < one[3] - SLACK
    )


def _kept(sheet: Sheet, chars: Sequence[Char], doubtful: frozenset[int]) -> tuple[list[Char], int]:
    """The characters that can be seen, and how many cannot."""
    drawn = visible_text.drawn(sheet.page, sheet.objects.texts, FINE)
    unseen = {one.handle for one in sheet.objects.texts if one.hides}
    flags = visible_text.visible(chars, drawn, doubtful)
    flags = [flag and char.owner not in unseen for char, flag in zip(chars, flags, strict=True)]
    kept = [char for char, flag in zip(chars, flags, strict=True) if flag]
    hidden = sum(
        not flag and not char.generated and bool(char.text.strip())
        for char, flag in zip(chars, flags, strict=True)
    )
    return kept, hidden


# --- what is no text layer -----------------------------------------------------------------------

LEAST_PICTURE = 0.004  # of the page; smaller ones are icons
OUTLINES = 12  # shapes as tall as letters, from which they may be some
OUTLINE_POINTS = (3.0, 90.0)
OUTLINE_SEGMENTS = 8
COVERS = 0.55  # of the page, from which a picture is the page
MUCH_TEXT, TEXTURE = 120, 0.3  # characters on it; share of its strips that seem to hold text
MARGIN = 4.0  # points around a part that is read


def _suspects(sheet: Sheet) -> list[visible_text.Box]:
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


def _pictured(boxes: Sequence[visible_text.Box], drawn: Drawn) -> list[visible_text.Box]:
    """The places of pictures that hold text, from the top down."""
    places = []
    for place in _grouped(boxes):
        if picture_text.holds_text(_cut(place, drawn)):
            places.append(place)
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


def _covers(place: visible_text.Box, frame: Frame) -> bool:
    """Whether a picture is the page, rather than on it."""
    return (place[2] - place[0]) * (place[3] - place[1]) > COVERS * frame.width * frame.height


def _texture(
    places: Sequence[visible_text.Box], chars: Sequence[Char], drawn: Drawn | None
) -> bool:
    """Whether a page of text has a picture behind it in which hardly any row of letters shows."""
    said = sum(not char.generated and bool(char.text.strip()) for char in chars)
    if said < MUCH_TEXT or drawn is None:
        return False
    shares = [picture_text.strips_of_text(_cut(place, drawn)) for place in places]
    return max(shares) < TEXTURE


def _over_picture(sheet: Sheet, boxes: Sequence[visible_text.Box]) -> bool:
    """Whether the layer is a scan's own: invisible text over a picture of the page."""
    return any(_covers(box, sheet.frame) for box in boxes)


def _around(chars: Sequence[Char], first: visible_text.Box) -> tuple[list[Char], list[Char]]:
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


def _shares(region: visible_text.Box, frame: Frame) -> Shares:
    left, top, right, bottom = _clamped(
        (region[0] - MARGIN, region[1] - MARGIN, region[2] + MARGIN, region[3] + MARGIN), frame
    )
    width, height = frame.width, frame.height
    return left / width, top / height, right / width, bottom / height


# --- order and form ------------------------------------------------------------------------------


def _needs_order(sheet: Sheet) -> bool:
    """Whether the file's own order may not be that of reading."""
    if sheet.filled or _sideways(sheet):
        return True
    return _crosses(sheet.objects.boxes) >= reading_order.LEAST_LINES


def _sideways(sheet: Sheet) -> bool:
    """Whether most text may not be upright as the page is shown."""
    if sheet.frame.turns:
        return True
    boxes = sheet.objects.boxes
    tall = sum(box[3] - box[1] for box in boxes if _stands(box))
    return tall > 0 and tall > sum(box[2] - box[0] for box in boxes if not _stands(box))


def _stands(box: page_objects.Box) -> bool:
    return box[3] - box[1] > 1.5 * (box[2] - box[0]) > 0


def _crosses(boxes: Sequence[page_objects.Box]) -> int:
    """How often a text is followed by one beside it, far to the right."""
    count = 0
    last = None
    for box in boxes:
        if last is not None and box[0] - last[2] > 12:
            level = abs(box[1] + box[3] - last[1] - last[3]) < box[3] - box[1]
            count += level and last[2] - last[0] > 90 and box[2] - box[0] > 90
        last = box
    return count


def _written(sheet: Sheet, chars: Sequence[Char]) -> str:
    """Characters as text: in the file's order, or by their places where that is not to be used."""
    placed = (
        sheet.filled or reading_order.direction(chars) != 0 or reading_order.across_columns(chars)
    )
    text = reading_order.arranged(chars) if placed else "".join(char.text for char in chars)
    return cleaned(text)


_LINE_HYPHENS = re.compile(f"[\x02{LINE_HYPHEN}]")  # the first in text objects, the other in pages
_FORMS = re.compile(r"[\ufb00-\ufdff\ufe70-\ufefc]+")
_BULLETS = re.compile(r"[\uf0a7\uf0b7\uf0a8\uf0d8\uf0fc\uf06c\uf06e\uf076]")


def bulleted(text: str) -> str:
    """With the private-use codes that word processors have for bullets as bullets."""
    return text if text.isascii() else _BULLETS.sub("•", text)


def cleaned(text: str) -> str:
    """A layer's text as it is written: NFC, letters for their presentation forms, and lines that
    end where they end on the page. A word broken there stays broken, as line breaks do."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    text = text.replace("\x02", LINE_HYPHEN)
    if not text.isascii():
        # PDFium drops the line's end there.
        text = re.sub(f"{LINE_HYPHEN}\n?", "-\n", text)
        text = re.sub("\u00ad *\n", "-\n", text).replace("\u00ad", "")
        text = bulleted(text)
        text = _FORMS.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
        text = unicodedata.normalize("NFC", text)
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()
