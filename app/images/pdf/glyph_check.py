"""Whether Latin letters and digits of a text layer are those that are drawn.

Each claimed character's picture is compared with all letters and digits in fonts that PDFium
brings. The claim of a sound font is among the most alike, whatever the font; that of a shifted or
ciphered one is no nearer than any other.
"""

import ctypes
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import pypdfium2 as pdfium  # type: ignore[import-untyped]
from PIL import Image
from pypdfium2 import raw

KNOWN = string.ascii_letters + string.digits
FONTS = ("Helvetica", "Helvetica-Bold", "Times-Roman", "Times-Italic", "Courier")
SIDE = 16  # pixels a side that a character is compared in
INK = 96  # of 255, from which a pixel counts
NEAR = 3  # a claim among so many nearest classes is right
LEAST_CHARACTERS = 5  # different ones, to tell at all
SURE, SURE_SHARE = 5, 0.7  # near ones, after which no more are looked at
CHANCE = 0.12  # that another character is among the nearest
DEVIATIONS = 2.0
ASPECT = 60  # pixels of difference that a shape twice as wide counts as

Shape = tuple[int, float]  # its pixels as bits, width over height


def shape(picture: Image.Image) -> Shape | None:
    """The shape of one character, dark on light ("L"); None where nothing is drawn."""
    ink = picture.point(lambda value: 255 if value < 255 - INK else 0)
    box = ink.getbbox()
    if box is None:
        return None
    width, height = box[2] - box[0], box[3] - box[1]
    if max(width, height) < 5:
        return None
    small = picture.resize((SIDE, SIDE), Image.Resampling.BOX, box=box)
    bits = 0
    for value in small.tobytes():
        bits = bits << 1 | (value < 128)
    return bits, width / height


@dataclass(slots=True)
class _Tally:
    """How many different characters were compared, and how many are near their claims."""

    compared: int = 0
    near: int = 0

    @property
    def surely_right(self) -> bool:
        return self.near >= SURE and self.near >= SURE_SHARE * self.compared

    @property
    def by_chance(self) -> bool:
        spread = (self.compared * CHANCE * (1 - CHANCE)) ** 0.5
        return bool(self.near <= self.compared * CHANCE + DEVIATIONS * spread)


def right(pictures: Iterable[tuple[str, Image.Image]]) -> bool | None:
    """Whether characters look more like what they are claimed to be than by chance; None for too
    few of them. Letters and digits are told apart: a cipher may leave the one as they are.

    Args:
        pictures: characters and what is drawn for them ("L"), looked at until it is sure.
    """
    letters, digits = _Tally(), _Tally()
    done: set[str] = set()
    for char, picture in pictures:
        tally = digits if char.isdigit() else letters
        if char not in KNOWN or char in done or tally.surely_right:
            continue
        if one := shape(picture):
            done.add(char)
            tally.compared += 1
            tally.near += _rank(char, one) < NEAR
    told = [one for one in (letters, digits) if one.compared >= LEAST_CHARACTERS]
    return not any(one.by_chance for one in told) if told else None


def _rank(char: str, drawn: Shape) -> int:
    """How many classes of characters look more like it than its own."""
    distances: dict[str, float] = {}
    for other, shapes in _references().items():
        nearest = min(_distance(drawn, one) for one in shapes)
        kind = _kind(other)
        distances[kind] = min(nearest, distances.get(kind, nearest))
    own = distances[_kind(char)]
    return sum(distance < own for distance in distances.values())


def _distance(one: Shape, other: Shape) -> float:
    wide = max(one[1], other[1]) / min(one[1], other[1])
    return (one[0] ^ other[0]).bit_count() + ASPECT * min(wide - 1, 2.0)


def _kind(char: str) -> str:
    """Characters that one shape may stand for: small capitals, and those that look alike."""
    if char in "O0oQ":
        return "O"
    if char in "Il1i":
        return "I"
    return char.upper()


@cache
def _references() -> Mapping[str, tuple[Shape, ...]]:
    """The shapes of all known characters in all reference fonts."""
    drawn: dict[str, list[Shape]] = {char: [] for char in KNOWN}
    step, size, scale = 20, 14, 2
    for name in FONTS:
        document = pdfium.PdfDocument.new()
        page = document.new_page(step * len(KNOWN), step)
        for at, char in enumerate(KNOWN):
            text = raw.FPDFPageObj_NewTextObj(document.raw, name.encode(), size)
            coded = ctypes.create_string_buffer(f"{char}\0".encode("utf-16-le"))
            raw.FPDFText_SetText(text, ctypes.cast(coded, ctypes.POINTER(ctypes.c_ushort)))
            raw.FPDFPageObj_Transform(text, 1, 0, 0, 1, at * step + 3, 6)
            raw.FPDFPage_InsertObject(page.raw, text)
        raw.FPDFPage_GenerateContent(page.raw)
        picture = page.render(scale=scale, grayscale=True).to_pil()
        for at, char in enumerate(KNOWN):
            left = at * step * scale
            if one := shape(picture.crop((left, 0, left + step * scale, step * scale))):
                drawn[char].append(one)
        page.close()
        document.close()
    return {char: tuple(shapes) for char, shapes in drawn.items()}
