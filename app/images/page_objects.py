"""The objects of a PDF page as PDFium lists them, read by direct calls.

A page has hundreds of objects and each is asked several things. pypdfium2's own functions make a
Python object of every handle and let go of the GIL each time; called as here, with handles as
integers, an object costs a third (measured: 1.5 instead of 4.5 us).
"""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pypdfium2 import raw  # type: ignore[import-untyped]

TEXT, PATH, IMAGE, SHADING, FORM = 1, 2, 3, 4, 5  # FPDF_PAGEOBJ_*
UNSEEN_MODES = (3, 7)  # text render modes that draw nothing: invisible, and clipping only
DEEPEST = 8  # levels of form objects
MOST = 50_000  # objects that are looked at; a map may have a million

Box = tuple[float, float, float, float]  # left, bottom, right, top in points of the page

_V, _I, _F = ctypes.c_void_p, ctypes.c_int, ctypes.c_float


def call(function: Any, result: Any, *arguments: Any) -> Callable[..., Any]:
    address = ctypes.cast(function, _V).value
    return ctypes.PYFUNCTYPE(result, *arguments)(address)


_count = call(raw.FPDFPage_CountObjects, _I, _V)
_get = call(raw.FPDFPage_GetObject, _V, _V, _I)
_kind = call(raw.FPDFPageObj_GetType, _I, _V)
_bounds = call(raw.FPDFPageObj_GetBounds, _I, _V, _V, _V, _V, _V)
_mode = call(raw.FPDFTextObj_GetTextRenderMode, _I, _V)
_font = call(raw.FPDFTextObj_GetFont, _V, _V)
_fill = call(raw.FPDFPageObj_GetFillColor, _I, _V, _V, _V, _V, _V)
_stroke = call(raw.FPDFPageObj_GetStrokeColor, _I, _V, _V, _V, _V, _V)
_draw_mode = call(raw.FPDFPath_GetDrawMode, _I, _V, _V, _V)
_segments = call(raw.FPDFPath_CountSegments, _I, _V)
_font_size = call(raw.FPDFTextObj_GetFontSize, _I, _V, _V)
_matrix = call(raw.FPDFPageObj_GetMatrix, _I, _V, _V)
_clip = call(raw.FPDFPageObj_GetClipPath, _V, _V)
_clip_paths = call(raw.FPDFClipPath_CountPaths, _I, _V)
_clip_segments = call(raw.FPDFClipPath_CountPathSegments, _I, _V, _I)
_clip_segment = call(raw.FPDFClipPath_GetPathSegment, _V, _V, _I, _I)
_point = call(raw.FPDFPathSegment_GetPoint, _I, _V, _V, _V)
_form_count = call(raw.FPDFFormObj_CountObjects, _I, _V)
_form_get = call(raw.FPDFFormObj_GetObject, _V, _V, ctypes.c_ulong)
_activate = call(raw.FPDFPageObj_SetIsActive, _I, _V, _I)
_text = call(raw.FPDFTextObj_GetText, ctypes.c_ulong, _V, _V, _V, ctypes.c_ulong)


class TextObject(NamedTuple):
    """A piece of text that is drawn at once. `order` is its place among the page's objects."""

    handle: int
    font: int
    box: Box
    order: int
    visible: bool  # its colour, mode, clip and size let it be seen on white
    mode_hides: bool  # it is in a mode that draws nothing


class Mark(NamedTuple):
    """Anything that is no text: a picture, a drawn shape, a shading. `segments` of a path."""

    kind: int
    box: Box
    order: int
    filled: bool
    segments: int = 0


@dataclass(slots=True)
class Objects:
    """All objects of a page. `nested`: some text is inside a form object, whose boxes are those
    of the form. `whole`: none was left out."""

    texts: list[TextObject] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    nested: bool = False
    whole: bool = True


def handle_of(thing: Any) -> int:
    """The address behind a pypdfium2 object's raw handle."""
    return ctypes.cast(thing.raw, _V).value or 0


class Numbers:
    """Room for what PDFium writes back."""

    def __init__(self, kind: Any, count: int) -> None:
        self.values = (kind * count)()
        start, size = ctypes.addressof(self.values), ctypes.sizeof(kind)
        self.places = tuple(start + at * size for at in range(count))


def objects(page: int) -> Objects:
    """The objects of a page, those inside forms included."""
    found = Objects()
    floats, colours, ints = Numbers(_F, 4), Numbers(ctypes.c_uint, 4), Numbers(_I, 2)
    for order, (handle, kind, outer) in enumerate(_walk(page)):
        if order == MOST:
            found.whole = False
            break
        if outer is None:
            _bounds(handle, *floats.places)
            box: Box = tuple(floats.values)
        else:
            box = outer
        if kind == TEXT:
            found.nested = found.nested or outer is not None
            mode = _mode(handle)
            hides = mode in UNSEEN_MODES
            seen = not hides and _dark(handle, mode, colours)
            seen = seen and (outer is not None or _inside_clip(handle, box))
            seen = seen and (box[3] - box[1] >= LEAST_SIZE or _size(handle) >= LEAST_SIZE)
            found.texts.append(TextObject(handle, _font(handle) or 0, box, order, seen, hides))
        else:
            filled, segments = kind != PATH, 0
            if kind == PATH:
                _draw_mode(handle, *ints.places)
                filled, segments = ints.values[0] != 0, _segments(handle)
            found.marks.append(Mark(kind, box, order, filled, segments))
    return found


def _walk(page: int) -> Iterator[tuple[int, int, Box | None]]:
    """Handles, kinds, and the box of the outermost form around each."""
    floats = Numbers(_F, 4)
    for at in range(_count(page)):
        handle = _get(page, at)
        kind = _kind(handle)
        if kind == FORM:
            _bounds(handle, *floats.places)
            outer: Box = tuple(floats.values)
            for inner, inner_kind in _inside(handle, 1):
                yield inner, inner_kind, outer
        else:
            yield handle, kind, None


def _inside(form: int, depth: int) -> Iterator[tuple[int, int]]:
    for at in range(_form_count(form)):
        handle = _form_get(form, at)
        kind = _kind(handle)
        if kind != FORM:
            yield handle, kind
        elif depth < DEEPEST:
            yield from _inside(handle, depth + 1)


LEAST_SIZE = 1.5  # points of a font that can be read


def _size(handle: int) -> float:
    """The font size of a text as it is shown, in points."""
    matrix, size = Numbers(_F, 6), Numbers(_F, 1)
    _matrix(handle, matrix.places[0])
    _font_size(handle, size.places[0])
    _, _, c, d, _, _ = matrix.values
    return float(abs(size.values[0]) * (c * c + d * d) ** 0.5)


PALE = 3 * 200  # sum of red, green and blue, above which text may not be seen on white
FAINT = 60  # alpha, of 255


def _dark(handle: int, mode: int, colours: Numbers) -> bool:
    """Whether the colour of a text shows on white paper."""
    (_stroke if mode in (1, 5) else _fill)(handle, *colours.places)
    red, green, blue, alpha = colours.values
    return bool(red + green + blue < PALE and alpha > FAINT)


SLACK = 1.0  # points


def _inside_clip(handle: int, box: Box) -> bool:
    """Whether a text lies inside all of its clip paths; those that are no rectangle do not count
    as holding it."""
    clip = _clip(handle)
    count = _clip_paths(clip) if clip else 0
    if count <= 0:
        return True
    room = Numbers(_F, 2)
    for path in range(count):
        segments = _clip_segments(clip, path)
        if segments not in (4, 5):
            return False
        points = []
        for at in (0, 2):
            _point(_clip_segment(clip, path, at), *room.places)
            points.append(tuple(room.values))
        (x1, y1), (x2, y2) = points
        if (
            min(x1, x2) > box[0] + SLACK
            or max(x1, x2) < box[2] - SLACK
            or min(y1, y2) > box[1] + SLACK
            or max(y1, y2) < box[3] - SLACK
        ):
            return False
    return True


def activate(texts: Sequence[TextObject], on: bool) -> None:
    """Have texts drawn, or left out when the page is."""
    for one in texts:
        _activate(one.handle, int(on))


def text_of(one: TextObject, text_page: int) -> str:
    """What a text object says."""
    room = ctypes.create_string_buffer(2048)
    size = _text(one.handle, text_page, ctypes.addressof(room), 2048)
    return room.raw[: max(0, min(size, 2048) - 2)].decode("utf-16-le", "ignore")
