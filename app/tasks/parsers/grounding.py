"""Parses Qwen3-VL's streamed grounding output: JSON objects with `bbox_2d`.

The model writes `[{"bbox_2d": [x1, y1, x2, y2], "text_content": "..."}, ...]`, often in a code
fence. Coordinates are 0 to 1000 relative to the image's width and height, independent of the size
it was sent in (Qwen3-VL cookbook, 2d_grounding and ocr).
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

GRID_SIZE = 1000.0
BOX_KEYS = ("bbox_2d", "bbox")
TEXT_KEYS = ("text_content", "text")
MAX_OBJECT_CHARACTERS = 32_768  # characters of one object
MAX_DEPTH = 8  # enclosing objects; a deeper object is ignored
EMPTY_LIST = re.compile(r"\[\s*\]")

Box = tuple[float, float, float, float]  # left, top, right, bottom


class ObjectScanner:
    """Finds complete JSON objects in streamed text.

    Fences, prose and lists around them are skipped. So is an object that encloses one already
    found, a nested one with neither box nor text, and one inside more than `MAX_DEPTH`
    others. A malformed object, or one over `MAX_OBJECT_CHARACTERS`, is counted in `damaged`.
    """

    def __init__(self) -> None:
        self._damaged = 0
        self._text = ""  # the end of the input that may still belong to an object
        self._base = 0  # characters before `_text`
        self._starts: list[int] = []  # offsets of the open objects
        self._counted = False  # an object inside the outermost one was found or counted
        self._in_string = self._escaped = False

    @property
    def damaged(self) -> int:
        """The number of objects that could not be parsed, including an unterminated one."""
        return self._damaged + (bool(self._starts) and not self._counted)

    def feed(self, text: str) -> Iterator[dict[str, Any]]:
        """Yield the objects that end in this piece. Fractional numbers are `Decimal`, so that text
        that the model wrote as a number keeps its digits."""
        for start in range(0, len(text), MAX_OBJECT_CHARACTERS):
            yield from self._feed(text[start : start + MAX_OBJECT_CHARACTERS])

    def _feed(self, text: str) -> Iterator[dict[str, Any]]:
        kept = self._text[-MAX_OBJECT_CHARACTERS:] if self._starts else ""
        first = self._base + len(self._text)  # offset of this piece
        self._text, self._base = kept + text, first - len(kept)
        for at, char in enumerate(text, first):
            if self._in_string:
                if self._escaped:
                    self._escaped = False
                elif char == "\\":
                    self._escaped = True
                elif char == '"':
                    self._in_string = False
            elif char == "{":
                self._counted = self._counted and bool(self._starts)
                self._starts.append(at)
            elif self._starts and char == '"':
                self._in_string = True
            elif self._starts and char == "}":
                yield from self._parse_object(self._starts.pop(), at + 1)

    def _parse_object(self, start: int, end: int) -> Iterator[dict[str, Any]]:
        if len(self._starts) > MAX_DEPTH:
            return
        try:
            if end - start > MAX_OBJECT_CHARACTERS:
                raise ValueError("an object of one thing is not as long")
            text = self._text[start - self._base : end - self._base]
            found = json.loads(text, strict=False, parse_float=Decimal)
        except (ValueError, RecursionError):
            self._damaged += not self._counted
            self._counted = True
            return
        outermost = not self._starts and not self._counted
        if outermost or any(name in found for name in (*BOX_KEYS, *TEXT_KEYS)):
            self._counted = True
            yield {name: _replace_surrogates(value) for name, value in found.items()}


def is_empty_answer(text: str) -> bool:
    """Whether the answer is blank or an empty list, with or without a fence."""
    return not text.strip() or bool(EMPTY_LIST.search(text))


def parse_box(found: Mapping[str, Any], width: int, height: int) -> Box | None:
    """The object's box in pixels of the original image, clamped to it; None without a valid box.

    Args:
        width, height: of the upright original image, in pixels.
    """
    grid = next((found[name] for name in BOX_KEYS if found.get(name)), None)
    if not isinstance(grid, list) or len(grid) != 4:
        return None
    if not all(isinstance(value, int | float | Decimal) for value in grid):
        return None
    try:
        sides = [float(value) for value in grid]
    except OverflowError:
        return None
    if not all(map(math.isfinite, sides)):
        return None
    x1, y1, x2, y2 = (min(max(side, 0.0), GRID_SIZE) / GRID_SIZE for side in sides)
    scaled = (x1 * width, y1 * height, x2 * width, y2 * height)
    left, top, right, bottom = (round(value, 1) for value in scaled)
    return (left, top, right, bottom) if left < right and top < bottom else None


def parse_text(found: Mapping[str, Any]) -> str:
    """The object's text, empty without one."""
    value = next((found[name] for name in TEXT_KEYS if name in found), "")
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def _replace_surrogates(value: Any) -> Any:
    """Replace lone surrogates, which JSON can represent and UTF-8 cannot."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else value
