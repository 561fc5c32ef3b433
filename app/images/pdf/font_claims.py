"""Whether a PDF's fonts claim what they draw: by the language of what they say, then by shape."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from PIL import Image
from pypdfium2 import raw  # type: ignore[import-untyped]

from app.images.pdf import glyph_check, page_objects, reading_order, visible_text
from app.images.pdf.language_check import Verdict, judge
from app.images.pdf.layer_form import judged_form
from app.images.pdf.page_objects import TextObject, handle_of
from app.images.pdf.sheet import Sheet

LEAST_CLAIM = 4  # characters of a font that count on a page
LEAST_SHARE = 0.03  # and their share of it
SHAPE_SHARE = 0.08  # from which the shapes of a doubtful font are looked at
ENOUGH = 400  # characters of a font that are judged
RARE = 5  # pages on which one may say little before it is let be
TRIES = 3  # pages on which one is judged that stays doubtful


@dataclass(slots=True)
class Fonts:
    """What is known of a document's fonts so far, by their handles."""

    samples: dict[int, str] = field(default_factory=lambda: defaultdict(str))
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    tries: Counter[int] = field(default_factory=Counter)
    rare: Counter[int] = field(default_factory=Counter)  # pages on which one said little


def broken(sheet: Sheet, fonts: Fonts) -> bool:
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
    judged = judge(judged_form(sample))
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
    quarter = reading_order.direction(chars) if sheet.sideways else 0
    for owner in owners:
        line = [char for char in chars if char.owner == owner]
        for char, picture in visible_text.close_ups(sheet.page, line, sheet.frame):
            yield char, picture.rotate(90 * quarter, expand=True) if quarter else picture
