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
from app.images.pdf.layer_text import font_claim_text
from app.images.pdf.page_context import PageContext
from app.images.pdf.page_objects import TextObject, handle_of

# A font with fewer characters on a page, or a smaller share of them, is ignored there.
MIN_CHARACTERS = 4
MIN_SHARE = 0.03
MIN_SHAPE_SHARE = 0.08  # share of a page from which the shapes of a doubtful font are compared
ENOUGH_CHARACTERS = 400  # characters after which a doubtful font is not judged again
MAX_RARE_PAGES = 5  # pages with little text of a font after which it is no longer checked
MAX_TRIES = 3  # pages after which a doubtful font is not judged again


@dataclass(slots=True)
class FontState:
    """The verdicts on a document's fonts so far, by font handle.

    samples: the text that each font claims.
    tries: number of pages on which each font was judged.
    rare_pages: number of pages on which each font had little text.
    """

    samples: dict[int, str] = field(default_factory=lambda: defaultdict(str))
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    tries: Counter[int] = field(default_factory=Counter)
    rare_pages: Counter[int] = field(default_factory=Counter)


def has_broken_font(context: PageContext, fonts: FontState) -> bool:
    """Return whether fonts with a relevant share of this page claim text that they do not draw."""
    new = set(context.objects.fonts) - fonts.verdicts.keys()
    if not new and Verdict.BROKEN not in fonts.verdicts.values():
        return False
    texts = [one for one in context.objects.texts if not one.hides]
    text_page = handle_of(context.text_page)
    texts_by_font: dict[int, str] = defaultdict(str)
    total = max(1, raw.FPDFText_CountChars(context.text_page.raw))
    broken = {font for font, one in fonts.verdicts.items() if one is Verdict.BROKEN}
    read = [one for one in texts if one.font in new or one.font in broken]
    for one, text in zip(read, page_objects.object_texts(read, text_page), strict=True):
        texts_by_font[one.font] += text + " "
    for font in new:
        least = max(MIN_CHARACTERS, MIN_SHARE * total)
        count = len("".join(texts_by_font[font].split()))
        if count >= least:
            _judge_font(context, fonts, font, texts_by_font[font], count / total)
        elif fonts.rare_pages[font] == MAX_RARE_PAGES:
            fonts.verdicts[font] = Verdict.DOUBT
        fonts.rare_pages[font] += 1
    claimed = sum(
        len("".join(text.split()))
        for font, text in texts_by_font.items()
        if fonts.verdicts.get(font) is Verdict.BROKEN
    )
    return bool(claimed >= max(MIN_CHARACTERS, MIN_SHARE * total))


def _judge_font(context: PageContext, fonts: FontState, font: int, text: str, share: float) -> None:
    sample = fonts.samples[font] = (fonts.samples[font] + " " + text)[-2 * ENOUGH_CHARACTERS :]
    judged = judge(font_claim_text(sample))
    verdict = judged.verdict
    if verdict is Verdict.DOUBT and judged.latin and share >= MIN_SHAPE_SHARE:
        right = glyph_check.matches_claims(_glyph_pictures(context, font))
        if right is not None:
            verdict = Verdict.SOUND if right else Verdict.BROKEN
    fonts.tries[font] += 1
    if (
        verdict is not Verdict.DOUBT
        or len(sample) >= ENOUGH_CHARACTERS
        or fonts.tries[font] == MAX_TRIES
    ):
        fonts.verdicts[font] = verdict


SAMPLED_LINES = 3  # text objects of a font whose letters are compared
MAX_LINE_CHARACTERS = 120


def _glyph_pictures(context: PageContext, font: int) -> Iterator[tuple[str, Image.Image]]:
    """Yield characters of a font with their pictures, from a few lines of this page.

    The lines are chosen to have as many different characters as possible.
    """
    text_page = handle_of(context.text_page)
    lines = [one for one in context.objects.texts if one.font == font and one.visible]
    read = page_objects.object_texts(lines, text_page)
    said = {one: text[:MAX_LINE_CHARACTERS] for one, text in zip(lines, read, strict=True)}
    chosen: list[TextObject] = []
    known: set[str] = set()
    while len(chosen) < SAMPLED_LINES and said:
        best = max(said, key=lambda one: len(set(said[one]) - known))
        known |= set(said.pop(best))
        chosen.append(best)
    owners = {one.handle for one in chosen}
    chars = visible_text.characters(text_page, context.frame, owners)
    quarter = reading_order.direction(chars) if context.sideways else 0
    for owner in owners:
        line = [char for char in chars if char.owner == owner]
        for char, picture in visible_text.glyph_close_ups(context.page, line, context.frame):
            yield char, picture.rotate(90 * quarter, expand=True) if quarter else picture
