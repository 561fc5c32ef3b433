"""Qwen3-VL's grounding output: JSON objects with `bbox_2d`, read while they come.

The model writes `[{"bbox_2d": [x1, y1, x2, y2], "text_content": "..."}, ...]`, often in a code
fence. Coordinates are 0 to 1000 of the image's width and height, whatever size it was sent in
(Qwen3-VL cookbook, 2d_grounding and ocr; every user redoes the scaling, many wrongly).
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

GRID = 1000.0
PLACES = ("bbox_2d", "bbox")
WRITTEN = ("text_content", "text")
LONGEST = 32_768  # characters of an object
DEEPEST = 8  # objects around one that is looked at
EMPTY = re.compile(r"\[\s*\]")

Box = tuple[float, float, float, float]  # left, top, right, bottom


class ObjectScanner:
    """Finds complete JSON objects in a text that comes in pieces.

    What stands around them, fences, prose and lists, is passed over; so is an object around them,
    one inside them that has neither box nor text, and one inside `DEEPEST` others. One that is
    damaged, or over `LONGEST` characters, is counted.
    """

    def __init__(self) -> None:
        self._damaged = 0
        self._text = ""  # the end of what came, as far as an object may be in it
        self._base = 0  # characters before that
        self._starts: list[int] = []  # of the objects that are open
        self._told = False  # something in the outermost one was found or counted
        self._in_string = self._escaped = False

    @property
    def damaged(self) -> int:
        """Objects that could not be read, one that has no end included."""
        return self._damaged + (bool(self._starts) and not self._told)

    def feed(self, text: str) -> Iterator[dict[str, Any]]:
        """The objects that end in this piece. Numbers with a fraction are `Decimal`, so that text
        which a model wrote as a number keeps its digits."""
        for start in range(0, len(text), LONGEST):
            yield from self._feed(text[start : start + LONGEST])

    def _feed(self, text: str) -> Iterator[dict[str, Any]]:
        kept = self._text[-LONGEST:] if self._starts else ""
        first = self._base + len(self._text)  # of this piece
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
                self._told = self._told and bool(self._starts)
                self._starts.append(at)
            elif self._starts and char == '"':
                self._in_string = True
            elif self._starts and char == "}":
                yield from self._closed(self._starts.pop(), at + 1)

    def _closed(self, start: int, end: int) -> Iterator[dict[str, Any]]:
        if len(self._starts) > DEEPEST:
            return
        try:
            if end - start > LONGEST:
                raise ValueError("an object of one thing is not as long")
            text = self._text[start - self._base : end - self._base]
            found = json.loads(text, strict=False, parse_float=Decimal)
        except (ValueError, RecursionError):
            self._damaged += not self._told
            self._told = True
            return
        outermost = not self._starts and not self._told
        if outermost or any(name in found for name in (*PLACES, *WRITTEN)):
            self._told = True
            yield {name: _sound(value) for name, value in found.items()}


def is_empty(text: str) -> bool:
    """Whether the answer says that there is nothing, in a fence or not."""
    return not text.strip() or bool(EMPTY.search(text))


def box_of(found: Mapping[str, Any], width: int, height: int) -> Box | None:
    """The object's box in pixels of the original, clamped to it; None where it has none.

    Args:
        width, height: of the upright original.
    """
    grid = next((found[name] for name in PLACES if found.get(name)), None)
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
    x1, y1, x2, y2 = (min(max(side, 0.0), GRID) / GRID for side in sides)
    scaled = (x1 * width, y1 * height, x2 * width, y2 * height)
    left, top, right, bottom = (round(value, 1) for value in scaled)
    return (left, top, right, bottom) if left < right and top < bottom else None


def text_of(found: Mapping[str, Any]) -> str:
    """The text that an object holds; empty where it holds none."""
    value = next((found[name] for name in WRITTEN if name in found), "")
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def _sound(value: Any) -> Any:
    """JSON can write half a character (a lone surrogate), which nothing else can."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else value
