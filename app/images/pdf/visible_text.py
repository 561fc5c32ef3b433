"""Returns the characters of a PDF page with their boxes, and which of them are visible.

A page is rendered twice, with and without its text. Where both renderings are equal, a character
is not visible: it is white on white, covered, clipped, outside the page, too small, or has the
invisible render mode.
"""

import ctypes
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from PIL import Image, ImageChops
from pypdfium2 import raw  # type: ignore[import-untyped]

from app.images.pdf.page_objects import NumberBuffer, TextObject, bind_function, set_active

MAX_SIDE_PIXELS = 1800  # pixels; the longer side of a rendered page
MIN_CONTRAST = 24  # of 255; with less, ink is not distinguishable from its background
MIN_GLYPH_POINTS = 1.3  # points; a smaller letter or digit cannot be read

_V, _I = ctypes.c_void_p, ctypes.c_int
_unicode = bind_function(raw.FPDFText_GetUnicode, ctypes.c_uint, _V, _I)
_box = bind_function(raw.FPDFText_GetCharBox, _I, _V, _I, _V, _V, _V, _V)
_generated = bind_function(raw.FPDFText_IsGenerated, _I, _V, _I)
_object = bind_function(raw.FPDFText_GetTextObject, _V, _V, _I)
_count = bind_function(raw.FPDFText_CountChars, _I, _V)

Box = tuple[float, float, float, float]  # left, top, right, bottom in points, as the page is shown


class Char(NamedTuple):
    """A character of the text layer.

    generated: PDFium inserted it (a space or a line break); its box is meaningless.
    owner: the handle of its text object; 0 if there is none.
    """

    text: str
    box: Box
    generated: bool
    owner: int


@dataclass(frozen=True, slots=True)
class PageFrame:
    """Maps a page's own coordinates to those in which it is shown.

    The latter are points from the upper left corner of the page.

    bounds: left, bottom, right, top of the visible part, in the page's own coordinates.
    turns: the page's rotation in quarter turns clockwise.
    width, height: of the page as it is shown, in points.
    """

    bounds: tuple[float, float, float, float]
    turns: int
    width: float
    height: float

    @classmethod
    def of(cls, page: Any) -> "PageFrame":
        rect = raw.FS_RECTF()
        raw.FPDF_GetPageBoundingBox(page.raw, ctypes.byref(rect))
        width, height = page.get_size()
        bounds = rect.left, rect.bottom, rect.right, rect.top
        return cls(bounds, page.get_rotation() // 90, width, height)

    def shown(self, left: float, bottom: float, right: float, top: float) -> Box:
        """Convert a box of the page's own coordinates (points) to one as the page is shown."""
        l, b, r, t = self.bounds  # noqa: E741 - as in left
        across, down = (r - l, t - b) if self.turns % 2 == 0 else (t - b, r - l)
        x, y = self.width / (across or 1), self.height / (down or 1)
        match self.turns:
            case 1:
                box = bottom - b, left - l, top - b, right - l
            case 2:
                box = r - right, bottom - b, r - left, top - b
            case 3:
                box = t - top, r - right, t - bottom, r - left
            case _:
                box = left - l, t - top, right - l, t - bottom
        return box[0] * x, box[1] * y, box[2] * x, box[3] * y


def characters(
    text_page: int, frame: PageFrame, owners: Collection[int] | None = None
) -> list[Char]:
    """Return the characters of the layer in its order; `owners` limits them to text objects."""
    room = NumberBuffer("d", 4)
    left, right, bottom, top = room.places
    found = []
    for at in range(_count(text_page)):
        if owners is not None and (_object(text_page, at) or 0) not in owners:
            continue
        code = _unicode(text_page, at)
        text = chr(code) if 0 < code < 0x110000 else "\ufffd"
        generated = _generated(text_page, at) == 1
        _box(text_page, at, left, right, bottom, top)
        x1, x2, y1, y2 = room.values
        owner = 0 if generated else _object(text_page, at) or 0
        found.append(Char(text, frame.shown(x1, y1, x2, y2), generated, owner))
    return found


@dataclass(frozen=True, slots=True)
class Rendering:
    """A page rendered at `scale` pixels per point (mode L).

    bare: the page without its text.
    ink: 255 where the text is visible, else 0.
    """

    without_text: Image.Image
    ink: Image.Image
    scale: float


def render_with_ink(
    page: Any, texts: Sequence[TextObject], scale: float, *, ink: bool = True
) -> Rendering:
    """Render the page without its text and, if `ink` is set, with it (else `ink` is `bare`)."""
    scale = min(scale, MAX_SIDE_PIXELS / max(page.get_size()))
    whole = _render(page, scale) if ink else None
    set_active(texts, on=False)
    try:
        bare = _render(page, scale)
    finally:
        set_active(texts, on=True)
    if whole is None:
        return Rendering(bare, bare, scale)
    changed = ImageChops.difference(whole, bare)
    return Rendering(bare, changed.point(lambda value: 255 if value >= MIN_CONTRAST else 0), scale)


GLYPH_HEIGHT_PIXELS = 30  # pixels; height of a line in a close-up
MAX_WIDTH_PIXELS = 4000  # pixels


def glyph_close_ups(
    page: Any, line: Sequence[Char], frame: PageFrame
) -> Iterator[tuple[str, Image.Image]]:
    """Yield the characters of one line with their pictures (mode L), from a single rendering."""
    boxes = [char.box for char in line]
    if not boxes:
        return
    left, top = min(box[0] for box in boxes) - 1, min(box[1] for box in boxes) - 1
    right, bottom = max(box[2] for box in boxes) + 1, max(box[3] for box in boxes) + 1
    width, height = max(1.0, right - left), max(1.0, bottom - top)
    scale = min(
        40.0, GLYPH_HEIGHT_PIXELS / min(width, height), MAX_WIDTH_PIXELS / max(width, height)
    )
    crop = (left, frame.height - bottom, frame.width - right, top)
    try:
        image: Image.Image = page.render(scale=scale, grayscale=True, crop=crop).to_pil()
    except ValueError:  # the line is outside the page
        return
    image = image.convert("L")
    for char in line:
        x1, y1, x2, y2 = char.box
        pixels = (x1 - left) * scale, (y1 - top) * scale, (x2 - left) * scale, (y2 - top) * scale
        box = int(pixels[0]), int(pixels[1]), int(pixels[2]) + 1, int(pixels[3]) + 1
        yield char.text, image.crop(box)


def _render(page: Any, scale: float) -> Image.Image:
    image: Image.Image = page.render(scale=scale, grayscale=True).to_pil()
    return image.convert("L")


def is_fully_inked(box: Box, drawn: Rendering) -> bool:
    """Return whether a text is visible from end to end: no gap in its ink is wider than a space."""
    pixels = _pixels(box, drawn)
    whole = (box[2] - box[0]) * (box[3] - box[1]) * drawn.scale**2
    if pixels is None or (pixels[2] - pixels[0]) * (pixels[3] - pixels[1]) < 0.9 * whole:
        return False
    strip = drawn.ink.crop(pixels)
    width, height = strip.size
    if height > width:
        strip, width, height = strip.transpose(Image.Transpose.ROTATE_90), height, width
    gap = longest = 0
    for value in strip.resize((width, 1), Image.Resampling.BOX).tobytes():
        gap = 0 if value else gap + 1
        longest = max(longest, gap)
    return longest <= 1.2 * height + 2


def visible_flags(chars: Sequence[Char], drawn: Rendering, doubtful: Collection[int]) -> list[bool]:
    """Return for each character whether it is visible.

    Spaces and generated characters are visible if the character before them is.

    Args:
        doubtful: handles of the text objects that are checked; the others are visible.
    """
    flags: list[bool] = []
    for char in chars:
        if char.generated or char.text.isspace():
            flags.append(flags[-1] if flags else True)
        else:
            flags.append(char.owner not in doubtful or _has_ink(char, drawn))
    return _smoothed(chars, flags)


def _has_ink(char: Char, drawn: Rendering) -> bool:
    left, top, right, bottom = char.box
    if char.text.isalnum() and max(bottom - top, right - left) < MIN_GLYPH_POINTS:
        return False
    pixels = _pixels(char.box, drawn)
    if pixels is None:
        return False
    return drawn.ink.crop(pixels).getbbox() is not None


def _pixels(box: Box, drawn: Rendering) -> tuple[int, int, int, int] | None:
    """Return a box in pixels; None if it is outside the page."""
    left, top, right, bottom = (side * drawn.scale for side in box)
    pixels = (
        max(0, int(left)),
        max(0, int(top)),
        min(drawn.ink.width, int(right) + 1),
        min(drawn.ink.height, int(bottom) + 1),
    )
    return pixels if pixels[0] < pixels[2] and pixels[1] < pixels[3] else None


def _smoothed(chars: Sequence[Char], flags: list[bool]) -> list[bool]:
    """Treat a single punctuation mark without ink in visible text as visible: it is thin."""
    whole = list(flags)
    for at in range(len(flags)):
        before = at == 0 or flags[at - 1]
        after = at + 1 == len(flags) or flags[at + 1]
        if not flags[at] and before and after and not chars[at].text.isalnum():
            whole[at] = True
    return whole
