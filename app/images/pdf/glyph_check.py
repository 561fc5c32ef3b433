"""Checks whether the Latin letters and digits of a text layer are those that are drawn.

The picture of each claimed character is compared with all letters and digits in fonts that PDFium
includes. In a sound font, whatever its design, the claimed character is among the most similar
ones. In a font with shifted or ciphered codes it is no more similar than any other.
"""

import ctypes
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import pypdfium2 as pdfium  # type: ignore[import-untyped]
from PIL import Image
from pypdfium2 import raw

COMPARED_CHARACTERS = string.ascii_letters + string.digits
FONTS = ("Helvetica", "Helvetica-Bold", "Times-Roman", "Times-Italic", "Courier")
SHAPE_SIDE = 16  # pixels per side of the bitmaps that are compared
INK_LEVEL = 96  # of 255; a pixel that is darker than white by more counts as ink
NEAR_RANK = 3  # a claim is right if it is among so many most similar classes
MIN_CHARACTERS = 5  # different characters that are needed for a verdict
ENOUGH_NEAR, ENOUGH_NEAR_SHARE = (
    5,
    0.7,
)  # number and share of right claims after which the comparison stops
CHANCE = 0.12  # probability that a wrong character is among the most similar ones
DEVIATIONS = 2.0  # standard deviations above chance that a sound font must exceed
ASPECT_WEIGHT = 60  # pixels of difference that a shape of twice the width counts as

Shape = tuple[int, float]  # the bitmap as bits of an integer, and width / height


def glyph_shape(picture: Image.Image) -> Shape | None:
    """Return the shape of one character, dark on light (mode L); None if nothing is drawn."""
    ink = picture.point(lambda value: 255 if value < 255 - INK_LEVEL else 0)
    box = ink.getbbox()
    if box is None:
        return None
    width, height = box[2] - box[0], box[3] - box[1]
    if max(width, height) < 5:
        return None
    small = picture.resize((SHAPE_SIDE, SHAPE_SIDE), Image.Resampling.BOX, box=box)
    bits = 0
    for value in small.tobytes():
        bits = bits << 1 | (value < 128)
    return bits, width / height


@dataclass(slots=True)
class _Tally:
    """Number of different characters compared, and of those whose claim is right."""

    compared: int = 0
    near: int = 0

    @property
    def surely_right(self) -> bool:
        return self.near >= ENOUGH_NEAR and self.near >= ENOUGH_NEAR_SHARE * self.compared

    @property
    def by_chance(self) -> bool:
        spread = (self.compared * CHANCE * (1 - CHANCE)) ** 0.5
        return bool(self.near <= self.compared * CHANCE + DEVIATIONS * spread)


def matches_claims(pictures: Iterable[tuple[str, Image.Image]]) -> bool | None:
    """Return whether characters look like their claims more often than by chance.

    Letters and digits are judged separately because a cipher may change only one of them.

    Args:
        pictures: characters and their pictures (mode L).

    Returns:
        None if there are too few characters.
    """
    letters, digits = _Tally(), _Tally()
    done: set[str] = set()
    for char, picture in pictures:
        tally = digits if char.isdigit() else letters
        if char not in COMPARED_CHARACTERS or char in done or tally.surely_right:
            continue
        if one := glyph_shape(picture):
            done.add(char)
            tally.compared += 1
            tally.near += _rank(char, one) < NEAR_RANK
    tallies = [one for one in (letters, digits) if one.compared >= MIN_CHARACTERS]
    return not any(one.by_chance for one in tallies) if tallies else None


def _rank(char: str, drawn: Shape) -> int:
    """Return how many classes of characters are more similar to the drawn shape than its own."""
    distances: dict[str, float] = {}
    for other, shapes in _references().items():
        nearest = min(_distance(drawn, one) for one in shapes)
        kind = _kind(other)
        distances[kind] = min(nearest, distances.get(kind, nearest))
    own = distances[_kind(char)]
    return sum(distance < own for distance in distances.values())


def _distance(one: Shape, other: Shape) -> float:
    wide = max(one[1], other[1]) / min(one[1], other[1])
    return (one[0] ^ other[0]).bit_count() + ASPECT_WEIGHT * min(wide - 1, 2.0)


def _kind(char: str) -> str:
    """Return the class of a character: letters of both cases and similar shapes are one class."""
    if char in "O0oQ":
        return "O"
    if char in "Il1i":
        return "I"
    return char.upper()


@cache
def _references() -> Mapping[str, tuple[Shape, ...]]:
    """Return the shapes of all known characters in all reference fonts."""
    drawn: dict[str, list[Shape]] = {char: [] for char in COMPARED_CHARACTERS}
    step, size, scale = 20, 14, 2
    for name in FONTS:
        document = pdfium.PdfDocument.new()
        page = document.new_page(step * len(COMPARED_CHARACTERS), step)
        for at, char in enumerate(COMPARED_CHARACTERS):
            text = raw.FPDFPageObj_NewTextObj(document.raw, name.encode(), size)
            coded = ctypes.create_string_buffer(f"{char}\0".encode("utf-16-le"))
            raw.FPDFText_SetText(text, ctypes.cast(coded, ctypes.POINTER(ctypes.c_ushort)))
            raw.FPDFPageObj_Transform(text, 1, 0, 0, 1, at * step + 3, 6)
            raw.FPDFPage_InsertObject(page.raw, text)
        raw.FPDFPage_GenerateContent(page.raw)
        picture = page.render(scale=scale, grayscale=True).to_pil()
        for at, char in enumerate(COMPARED_CHARACTERS):
            left = at * step * scale
            if one := glyph_shape(picture.crop((left, 0, left + step * scale, step * scale))):
                drawn[char].append(one)
        page.close()
        document.close()
    return {char: tuple(shapes) for char, shapes in drawn.items()}
