"""Checks whether the Unicode text that a PDF's fonts claim is the text that they draw.

The claimed text is judged by its language first, then by the shapes of the drawn characters.
"""

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

# A font with fewer characters on a page, or a smaller share of them, is ignored there.
LEAST_CLAIM = 4
LEAST_SHARE = 0.03
SHAPE_SHARE = 0.08  # share of a page from which the shapes of a doubtful font are compared
ENOUGH = 400  # characters after which a doubtful font is not judged again
RARE = 5  # pages with little text of a font after which it is no longer checked
TRIES = 3  # pages after which a doubtful font is not judged again


@dataclass(slots=True)
class Fonts:
    """The verdicts on a document's fonts so far, by font handle.

    samples: the text that each font claims.
    tries: number of pages on which each font was judged.
    rare: number of pages on which each font had little text.
    """

    samples: dict[int, str] = field(default_factory=lambda: defaultdict(str))
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    tries: Counter[int] = field(default_factory=Counter)
    rare: Counter[int] = field(default_factory=Counter)


def broken(sheet: Sheet, fonts: Fonts) -> bool:
    """Return whether fonts with a relevant share of this page claim text that they do not draw."""
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


LINES = 3  # text objects of a font whose letters are compared
LINE_CHARACTERS = 120


def _letters(sheet: Sheet, font: int) -> Iterator[tuple[str, Image.Image]]:
    """Yield characters of a font with their pictures, from a few lines of this page.

    The lines are chosen to have as many different characters as possible.
    """
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
