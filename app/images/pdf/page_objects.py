"""Reads the objects of a PDF page with direct calls of PDFium.

A page has hundreds of objects, and several properties of each are read. pypdfium2's own functions
create a Python object for every handle and release the GIL on every call. The calls here pass
handles as integers and keep the GIL, which takes a third of the time (measured: 1.5 instead of
4.5 us per object).
"""

import ctypes
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat
from operator import add
from typing import Any, NamedTuple

from pypdfium2 import raw  # type: ignore[import-untyped]

TEXT, PATH, IMAGE, SHADING, FORM = 1, 2, 3, 4, 5  # FPDF_PAGEOBJ_*
STROKED = (1, 5)  # text render modes that draw outlines only, in the stroke colour
UNSEEN_MODES = (3, 7)  # text render modes that draw nothing: invisible, and clipping only
MAX_FORM_DEPTH = 8  # levels of nested form objects
MAX_OBJECTS = 50_000  # objects that are read; a map may have a million

Box = tuple[float, float, float, float]  # left, bottom, right, top in points of the page

_V, _I, _F = ctypes.c_void_p, ctypes.c_int, ctypes.c_float


def bind_function(function: Any, result: Any, *arguments: Any) -> Callable[..., Any]:
    """Return a PDFium function with the given C types, which keeps the GIL when it is called."""
    address = ctypes.cast(function, _V).value or 0
    return ctypes.PYFUNCTYPE(result, *arguments)(address)


_count = bind_function(raw.FPDFPage_CountObjects, _I, _V)
_get = bind_function(raw.FPDFPage_GetObject, _V, _V, _I)
_kind = bind_function(raw.FPDFPageObj_GetType, _I, _V)
_bounds = bind_function(raw.FPDFPageObj_GetBounds, _I, _V, _V, _V, _V, _V)
_mode = bind_function(raw.FPDFTextObj_GetTextRenderMode, _I, _V)
_font = bind_function(raw.FPDFTextObj_GetFont, _V, _V)
_fill = bind_function(raw.FPDFPageObj_GetFillColor, _I, _V, _V, _V, _V, _V)
_draw_mode = bind_function(raw.FPDFPath_GetDrawMode, _I, _V, _V, _V)
_segments = bind_function(raw.FPDFPath_CountSegments, _I, _V)
_font_size = bind_function(raw.FPDFTextObj_GetFontSize, _I, _V, _V)
_matrix = bind_function(raw.FPDFPageObj_GetMatrix, _I, _V, _V)
_clip = bind_function(raw.FPDFPageObj_GetClipPath, _V, _V)
_clip_paths = bind_function(raw.FPDFClipPath_CountPaths, _I, _V)
_clip_segments = bind_function(raw.FPDFClipPath_CountPathSegments, _I, _V, _I)
_clip_segment = bind_function(raw.FPDFClipPath_GetPathSegment, _V, _V, _I, _I)
_point = bind_function(raw.FPDFPathSegment_GetPoint, _I, _V, _V, _V)
_form_count = bind_function(raw.FPDFFormObj_CountObjects, _I, _V)
_form_get = bind_function(raw.FPDFFormObj_GetObject, _V, _V, ctypes.c_ulong)
_activate = bind_function(raw.FPDFPageObj_SetIsActive, _I, _V, _I)
_text = bind_function(raw.FPDFTextObj_GetText, ctypes.c_ulong, _V, _V, _V, ctypes.c_ulong)


class TextObject(NamedTuple):
    """A text object: a piece of text that is drawn at once.

    order: its index among the page's objects.
    visible: by its colour, mode, clip and size it is visible on white.
    hides: it draws nothing, or its size is too small to read.
    """

    handle: int
    font: int
    box: Box
    order: int
    visible: bool
    hides: bool


class Mark(NamedTuple):
    """An object that is not text: a picture, a path or a shading.

    order: its index among the page's objects.
    filled: it is not only an outline.
    segments: of a path; 0 for other objects.
    """

    kind: int
    box: Box
    order: int
    filled: bool
    segments: int = 0


@dataclass
class PageObjects:
    """All objects of a page.

    handles, fonts, boxes, orders: the text objects as columns, one entry for each.
    unseen: the text objects that are not visible on white by their colour, mode, clip or size, by
        index in the columns. The value is True for those that draw nothing at all.
    marks: all other objects.
    nested: some text is inside a form object; its box is that of the form.
    whole: no object was left out.
    """

    handles: list[int] = field(default_factory=list)
    fonts: list[int] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    orders: list[int] = field(default_factory=list)
    unseen: dict[int, bool] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)
    nested: bool = False
    whole: bool = True

    @cached_property
    def texts(self) -> list[TextObject]:
        """The text objects as tuples; most pages are judged by the columns alone."""
        rows = zip(
            self.handles, self.fonts, self.boxes, self.orders, repeat(True), repeat(False),
            strict=False,
        )  # fmt: skip
        found = list(map(TextObject._make, rows))
        for at, hides in self.unseen.items():
            found[at] = found[at]._replace(visible=False, hides=hides)
        return sorted(found, key=lambda one: one.order) if self.nested else found


def handle_of(thing: Any) -> int:
    """Return the address of a pypdfium2 object's raw handle."""
    return ctypes.cast(thing.raw, _V).value or 0


class NumberBuffer:
    """An output buffer of `count` numbers that PDFium writes, of a type code of `array`.

    Reading from an array is ten times as fast as from a ctypes array.
    """

    def __init__(self, kind: str, count: int) -> None:
        self.values = array(kind, [0] * count)
        start, _ = self.values.buffer_info()
        self.places = tuple(start + at * self.values.itemsize for at in range(count))


def list_objects(page: int) -> PageObjects:
    """Return the objects of a page, including those inside form objects."""
    count = min(_count(page), MAX_OBJECTS)
    handles = list(map(_get, repeat(page, count), range(count)))
    kinds = list(map(_kind, handles))
    boxes = _boxes(handles)
    found = PageObjects(whole=_count(page) <= MAX_OBJECTS)
    orders = [at for at, kind in enumerate(kinds) if kind == TEXT]
    _add(found, [handles[at] for at in orders], [boxes[at] for at in orders], orders)
    for at, kind in enumerate(kinds):
        if kind == FORM:
            _add_inner(found, handles[at], boxes[at], at)
        elif kind != TEXT:
            found.marks.append(_mark(handles[at], kind, boxes[at], at))
    return found


def _add_inner(found: PageObjects, form: int, box: Box, order: int) -> None:
    """Add the objects inside a form object, with the form's box."""
    inner = list(_inside(form, 1))
    texts = [handle for handle, kind in inner if kind == TEXT]
    found.nested = found.nested or bool(texts)
    _add(found, texts, [box] * len(texts), [order] * len(texts), nested=True)
    found.marks += [_mark(handle, kind, box, order) for handle, kind in inner if kind != TEXT]


def _boxes(handles: Sequence[int]) -> list[Box]:
    room = array("f", bytes(16 * len(handles)))
    _fill_room(_bounds, handles, room)
    return list(zip(room[0::4], room[1::4], room[2::4], room[3::4], strict=True))


def _fill_room(function: Callable[..., Any], handles: Sequence[int], room: "array[Any]") -> None:
    """Call a function that writes four numbers for each object; the loop runs in C."""
    start, _ = room.buffer_info()
    step, end = 4 * room.itemsize, start + len(room) * room.itemsize
    places = (range(start + at * room.itemsize, end, step) for at in range(4))
    deque(map(function, handles, *places), maxlen=0)


PALE_SUM = 3 * 200  # sum of red, green and blue from which text may be invisible on white
FAINT_ALPHA = 60  # alpha (of 255) up to which text may be invisible


def _add(
    found: PageObjects,
    handles: Sequence[int],
    boxes: Sequence[Box],
    orders: Sequence[int],
    *,
    nested: bool = False,
) -> None:
    """Add text objects; those with a sign that they may be invisible are checked one by one."""
    start = len(found.handles)
    found.handles += handles
    found.fonts += [font or 0 for font in map(_font, handles)]
    found.boxes += boxes
    found.orders += orders
    for at in _signs(handles, boxes, nested=nested):
        handle, box = handles[at], boxes[at]
        hides = _mode(handle) in UNSEEN_MODES
        if not hides and not nested and box[3] - box[1] < MIN_FONT_POINTS:
            hides = _size(handle) < MIN_FONT_POINTS
        if hides or not _dark(handle) or not (nested or _unclipped(handle, box)):
            found.unseen[start + at] = hides


def _signs(handles: Sequence[int], boxes: Sequence[Box], *, nested: bool) -> set[int]:
    """Return the indices of texts that are not plainly filled, or pale, faint, clipped or low."""
    modes = list(map(_mode, handles))
    colours = array("I", bytes(16 * len(handles)))
    _fill_room(_fill, handles, colours)
    light = map(add, map(add, colours[0::4], colours[1::4]), colours[2::4])
    signs = {at for at, mode in enumerate(modes) if mode} if any(modes) else set()
    signs |= {at for at, sum_ in enumerate(light) if sum_ >= PALE_SUM}
    signs |= {at for at, alpha in enumerate(colours[3::4]) if alpha <= FAINT_ALPHA}
    if nested:
        return signs
    clips = list(map(_clip, handles))
    if all(clips):
        signs |= {at for at, count in enumerate(map(_clip_paths, clips)) if count > 0}
    return signs | {at for at, box in enumerate(boxes) if box[3] - box[1] < MIN_FONT_POINTS}


def _dark(handle: int) -> bool:
    """Return whether a text's fill colour is visible on white.

    It is False for outlines, which have another colour, so that they are checked by rendering.
    """
    colours = NumberBuffer("I", 4)
    _fill(handle, *colours.places)
    red, green, blue, alpha = colours.values
    return _mode(handle) not in STROKED and red + green + blue < PALE_SUM and alpha > FAINT_ALPHA


def _unclipped(handle: int, box: Box) -> bool:
    clip = _clip(handle)
    return not clip or _clip_paths(clip) <= 0 or _inside_clip(clip, box)


def _mark(handle: int, kind: int, box: Box, order: int) -> Mark:
    if kind != PATH:
        return Mark(kind, box, order, filled=True)
    modes = NumberBuffer("i", 2)
    _draw_mode(handle, *modes.places)
    return Mark(kind, box, order, modes.values[0] != 0, _segments(handle))


def _inside(form: int, depth: int) -> Iterator[tuple[int, int]]:
    for at in range(_form_count(form)):
        handle = _form_get(form, at)
        kind = _kind(handle)
        if kind != FORM:
            yield handle, kind
        elif depth < MAX_FORM_DEPTH:
            yield from _inside(handle, depth + 1)


MIN_FONT_POINTS = 1.5  # points; text of a smaller font cannot be read


def _size(handle: int) -> float:
    """Return the font size of a text as it is shown, in points."""
    matrix, size = NumberBuffer("f", 6), NumberBuffer("f", 1)
    _matrix(handle, matrix.places[0])
    _font_size(handle, size.places[0])
    _, _, c, d, _, _ = matrix.values
    return float(abs(size.values[0]) * (c * c + d * d) ** 0.5)


TOLERANCE_POINTS = 1.0  # points


def _inside_clip(clip: int, box: Box) -> bool:
    """Return whether a text is inside all of its clip paths.

    A clip path that is not a rectangle counts as clipping the text.
    """
    room = NumberBuffer("f", 2)
    for path in range(_clip_paths(clip)):
        segments = _clip_segments(clip, path)
        if segments not in (4, 5):
            return False
        points = []
        for at in (0, 2):
            _point(_clip_segment(clip, path, at), *room.places)
            points.append(tuple(room.values))
        (x1, y1), (x2, y2) = points
        if (
            min(x1, x2) > box[0] + TOLERANCE_POINTS
            or max(x1, x2) < box[2] - TOLERANCE_POINTS
            or min(y1, y2) > box[1] + TOLERANCE_POINTS
            or max(y1, y2) < box[3] - TOLERANCE_POINTS
        ):
            return False
    return True


def set_active(texts: Sequence[TextObject], on: bool) -> None:
    """Include texts in rendering, or exclude them from it."""
    for one in texts:
        _activate(one.handle, int(on))


MAX_TEXT_CHARACTERS = 1024  # characters of one text object that are read


def object_texts(texts: Iterable[TextObject], text_page: int) -> list[str]:
    """Return the text of each text object."""
    room = array("H", bytes(2 * MAX_TEXT_CHARACTERS))
    place, _ = room.buffer_info()
    texts_read = []
    for one in texts:
        size = min(
            _text(one.handle, text_page, place, 2 * MAX_TEXT_CHARACTERS) // 2, MAX_TEXT_CHARACTERS
        )
        texts_read.append(room[: max(0, size - 1)].tobytes().decode("utf-16-le", "ignore"))
    return texts_read
