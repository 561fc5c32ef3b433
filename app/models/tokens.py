"""What a prompt costs before it is sent: tokens of an image, tokens of text.

An image is resized to whole cells and costs a token a cell (Qwen's `smart_resize`, which Ollama
and llama.cpp follow). Where the bounds come from:

* Ollama 0.12.7, own engine: 65,536 to 2,097,152 pixels, so 64 to 2,048 tokens of 32x32.
* Ollama 0.33, llama-server: `--image-min-tokens 1024` for qwen-vl models (llm/llama_server.go),
  at most 4,096. The release that changed it is not known: all after 0.12 are planned so, and the
  estimate is corrected by what the engine counts.
* qwen2.5-vl in Ollama 0.9: cells of 28, from 56x56 pixels to `vision.max_pixels` of its file.
"""

import math
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any


@dataclass(frozen=True, slots=True)
class ImageRule:
    """Cells are squares of `cell` pixels a side, a token each."""

    cell: int = 32
    min_tokens: int = 1
    max_tokens: int = 4096

    def seen(self, width: int, height: int) -> tuple[int, int]:
        """The size, in pixels, that the model resizes an image to."""
        columns, rows = _cells(self.cell, self.min_tokens, self.max_tokens, width, height)
        return columns * self.cell, rows * self.cell

    def tokens(self, width: int, height: int) -> int:
        """What an image of so many pixels costs."""
        columns, rows = _cells(self.cell, self.min_tokens, self.max_tokens, width, height)
        return columns * rows


@lru_cache(1024)  # planning a request asks for the same a dozen times
def _cells(cell: int, least: int, most: int, width: int, height: int) -> tuple[int, int]:
    """Columns and rows."""
    columns = max(1, _round(width / cell))
    rows = max(1, _round(height / cell))
    if columns * rows > most:
        shrink = math.sqrt(width * height / (most * cell * cell))
        columns = max(1, math.floor(width / shrink / cell))
        rows = max(1, math.floor(height / shrink / cell))
    elif columns * rows < least:
        grow = math.sqrt(least * cell * cell / (width * height))
        columns = math.ceil(width * grow / cell)
        rows = math.ceil(height * grow / cell)
    return columns, rows


def _round(value: float) -> int:
    """Half up, as Go and C round; Python rounds half to even."""
    return math.floor(value + 0.5)


def image_rule(info: Mapping[str, Any], version: str) -> ImageRule:
    """The rule of a model, from its `/api/show` `model_info` and the engine's version."""
    arch = str(info.get("general.architecture", ""))
    vision = f"{arch}.vision."
    own = 14 if arch.startswith(("qwen2vl", "qwen25vl")) else 16
    patch = int(info.get(f"{vision}patch_size", own))
    cell = patch * int(info.get(f"{vision}spatial_merge_size", 2))
    if pixels := int(info.get(f"{vision}max_pixels", 0)):
        least = int(info.get(f"{vision}min_pixels", 4 * cell * cell))
        return ImageRule(cell, least // cell**2, pixels // cell**2)
    if arch.startswith("qwen"):
        number = re.match(r"(\d+)\.(\d+)", version)
        if number and (int(number[1]), int(number[2])) <= (0, 12):
            return ImageRule(cell, 64, 2048)
        return ImageRule(cell, 1024, 4096)
    return ImageRule(cell)


@dataclass(frozen=True, slots=True)
class Cost:
    """What is known of a prompt before it is sent."""

    ascii_bytes: int
    other_bytes: int
    images: int
    image_tokens: int

    @classmethod
    def of(cls, text: str, image_tokens: Sequence[int]) -> "Cost":
        """Of a prompt with this text (all turns) and images that cost so much by the rule."""
        total = plain = len(text)
        if not text.isascii():
            total = len(text.encode())
            plain = len(text.encode("ascii", "ignore"))
        return cls(plain, total - plain, len(image_tokens), sum(image_tokens))

    def features(self) -> tuple[float, ...]:
        """Bytes in hundreds, so that all weights are of one size."""
        return (
            self.ascii_bytes / 100,
            self.other_bytes / 100,
            float(self.images),
            self.image_tokens / 100,
            1.0,
        )


# Before anything was measured: 3 bytes a token, 4 tokens around an image, 32 around the turns.
_FIRST = (33.0, 33.0, 4.0, 100.0, 32.0)
FORESEEN = 0.5  # tokens that a prediction is off, at most, where there is nothing to learn
_DOUBT = (900.0, 900.0, 100.0, 1.0, 400.0)  # how far each may be off (variance)


@dataclass(slots=True)
class Estimator:
    """Predicts an engine's `prompt_eval_count` and learns from it (recursive least squares)."""

    weights: list[float] = field(default_factory=lambda: list(_FIRST))
    seen: int = 0
    _doubt: list[list[float]] = field(
        default_factory=lambda: [
            [doubt if row == column else 0.0 for column in range(len(_DOUBT))]
            for row, doubt in enumerate(_DOUBT)
        ]
    )

    def predict(self, cost: Cost) -> int:
        """Tokens of the whole prompt."""
        return math.ceil(_dot(self.weights, cost.features()) - 1e-6)

    def learn(self, cost: Cost, counted: int) -> None:
        """Take in what the engine counted. Counts far off are no counts of this prompt (a cached
        prefix that was left out, say) and are passed over; so are those that were foreseen."""
        x = cost.features()
        predicted = _dot(self.weights, x)
        if not predicted / 4 < counted < predicted * 4 or abs(counted - predicted) < FORESEEN:
            return
        gain = [_dot(row, x) for row in self._doubt]
        scale = 1.0 + _dot(gain, x)  # 1: the noise of a count, a token
        self.weights = [
            weight + step / scale * (counted - predicted)
            for weight, step in zip(self.weights, gain, strict=True)
        ]
        self._doubt = [
            [value - gain[i] * gain[j] / scale for j, value in enumerate(row)]
            for i, row in enumerate(self._doubt)
        ]
        self.seen += 1


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return float(sum(map(operator.mul, a, b)))
