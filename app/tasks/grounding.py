"""Qwen3-VL's grounding output: JSON objects with `bbox_2d`, read while they come.

The model writes `[{"bbox_2d": [x1, y1, x2, y2], "text_content": "..."}, ...]`, often in a code
fence. Coordinates are 0 to 1000 of the image's width and height, whatever size it was sent in
(Qwen3-VL cookbook, 2d_grounding and ocr; every user redoes the scaling, many wrongly).
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

GRID = 1000.0

Box = tuple[float, float, float, float]  # left, top, right, bottom


class ObjectScanner:
    """Finds complete JSON objects in a text that comes in pieces.

    Only innermost objects are found, which is what a list of boxes holds; what stands around
    them, fences and prose, is passed over. An object that is damaged is counted in `damaged`.
    """

    def __init__(self) -> None:
        self.damaged = 0
        self._object = ""  # from its opening brace on; empty outside
        self._in_string = self._escaped = False

    def feed(self, text: str) -> Iterator[dict[str, Any]]:
        """The objects that end in this piece."""
        for char in text:
            if self._object:
                self._object += char
            if self._in_string:
                if self._escaped:
                    self._escaped = False
                elif char == "\\":
                    self._escaped = True
                elif char == '"':
                    self._in_string = False
            elif char == "{":
                self._object = char
            elif self._object and char == '"':
                self._in_string = True
            elif self._object and char == "}":
                yield from self._parsed()
                self._object = ""

    def _parsed(self) -> Iterator[dict[str, Any]]:
        try:
            yield json.loads(self._object, strict=False)
        except ValueError:
            self.damaged += 1


def box_of(found: Mapping[str, Any], width: int, height: int) -> Box | None:
    """The object's box in pixels of the original, clamped to it; None where it has none.

    Args:
        width, height: of the upright original.
    """
    grid = found.get("bbox_2d") or found.get("bbox")
    if not isinstance(grid, list) or len(grid) != 4:
        return None
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in grid):
        return None
    x1, y1, x2, y2 = (min(max(float(value), 0.0), GRID) / GRID for value in grid)
    if x1 >= x2 or y1 >= y2:
        return None
    scaled = (x1 * width, y1 * height, x2 * width, y2 * height)
    left, top, right, bottom = (round(value, 1) for value in scaled)
    return left, top, right, bottom
