"""Estimates the tokens of a prompt, images and text, before it is sent.

An image is resized to whole cells and costs one token per cell (Qwen's `smart_resize`, which Ollama
and llama.cpp follow). Sources of the bounds:

* Ollama up to 0.29, own engine: 65,536 to 2,097,152 pixels, so 64 to 2,048 tokens of 32x32; half a
  cell is rounded to even (model/models/qwen3vl/imageprocessor.go).
* Ollama from 0.30 on, llama-server: `--image-min-tokens 1024` for four families
  (llm/llama_server.go), 8 for the other qwen models, at most 4,096; `vision.max_pixels` in a model
  file has no effect. `tests/mtmd` compares with llama.cpp's own library.
* qwen2.5-vl in Ollama's own engine: cells of 28, from 56x56 pixels to `vision.max_pixels`.
"""

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from app.models.daemon import MIN_TOKENS_FAMILIES, Daemon


@dataclass(frozen=True, slots=True)
class ImageTokenRule:
    """How an engine counts the tokens of an image.

    cell: side of a cell in pixels; a cell is a square and costs one token.
    min_tokens, max_tokens: bounds of one image.
    half_to_even: half a cell is rounded to an even number of cells; else up.
    """

    cell: int = 32
    min_tokens: int = 1
    max_tokens: int = 4096
    half_to_even: bool = False

    def resized_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the size, in pixels, to which the model resizes an image."""
        columns, rows = _cells(self, width, height)
        return columns * self.cell, rows * self.cell

    def tokens(self, width: int, height: int) -> int:
        """Return the tokens of an image of this size in pixels."""
        columns, rows = _cells(self, width, height)
        return columns * rows


@lru_cache(1024)  # planning a request needs the same size a dozen times
def _cells(rule: ImageTokenRule, width: int, height: int) -> tuple[int, int]:
    """Return the columns and rows of cells."""
    cell, least, most = rule.cell, rule.min_tokens, rule.max_tokens
    nearest = round if rule.half_to_even else _half_up
    columns = max(1, nearest(width / cell))
    rows = max(1, nearest(height / cell))
    if columns * rows > most:
        shrink = math.sqrt(width * height / (most * cell * cell))
        columns = max(1, math.floor(width / shrink / cell))
        rows = max(1, math.floor(height / shrink / cell))
    elif columns * rows < least:
        grow = math.sqrt(least * cell * cell / (width * height))
        columns = math.ceil(width * grow / cell)
        rows = math.ceil(height * grow / cell)
    return columns, rows


_shared_rule = lru_cache(64)(
    ImageTokenRule
)  # equal rules are one object, which makes lookups in `_cells` fast


def _half_up(value: float) -> int:
    """Round half up, as C does; Python rounds half to even."""
    return math.floor(value + 0.5)


def image_rule(info: Mapping[str, Any], version: str) -> ImageTokenRule:
    """Return the rule of a model, by `model_info` in `/api/show` and the engine's version."""
    arch = str(info.get("general.architecture", ""))
    vision = f"{arch}.vision."
    own = 14 if arch.startswith(("qwen2vl", "qwen25vl")) else 16
    patch = int(info.get(f"{vision}patch_size", own))
    cell = patch * int(info.get(f"{vision}spatial_merge_size", 2))
    own_engine = not Daemon(version, arch).llama_server
    pixels = int(info.get(f"{vision}max_pixels", 0))
    if not arch.startswith("qwen") or (own_engine and pixels):
        if not pixels:
            return _shared_rule(cell)
        least = int(info.get(f"{vision}min_pixels", 4 * cell * cell))
        return _shared_rule(cell, least // cell**2, pixels // cell**2)
    if own_engine:
        return _shared_rule(cell, 64, 2048, half_to_even=True)
    return _shared_rule(cell, 1024 if arch in MIN_TOKENS_FAMILIES else 8, 4096)


@dataclass(frozen=True, slots=True)
class PromptCost:
    """The properties of a prompt from which its tokens are predicted.

    ascii_bytes, other_bytes: UTF-8 bytes of the text in and outside ASCII.
    images: number of images.
    image_tokens: tokens of all images by `ImageTokenRule`.
    """

    ascii_bytes: int
    other_bytes: int
    images: int
    image_tokens: int

    @classmethod
    def of(cls, text: str, image_tokens: Sequence[int]) -> "PromptCost":
        """Make one from the text of all turns and the tokens of each image by the rule."""
        total = plain = len(text)
        if not text.isascii():
            total = len(text.encode())
            plain = len(text.encode("ascii", "ignore"))
        return cls(plain, total - plain, len(image_tokens), sum(image_tokens))

    def features(self) -> tuple[float, ...]:
        """Return the feature vector; large ones in hundreds, so that all weights are similar."""
        return (
            self.ascii_bytes / 100,
            self.other_bytes / 100,
            float(self.images),
            self.image_tokens / 100,
            1.0,
        )


# Initial weights: 3 bytes per token, 4 tokens around an image, 32 tokens around the turns.
_INITIAL_WEIGHTS = (33.0, 33.0, 4.0, 100.0, 32.0)
NEGLIGIBLE_ERROR = 0.5  # tokens; a smaller error of a prediction is not learned from
_INITIAL_VARIANCE = (900.0, 900.0, 100.0, 1.0, 400.0)  # initial variance of each weight
# Bounds of the weights for predictions: at most one token per byte, some tokens around an image.
_MIN_WEIGHTS = (2.0, 2.0, 0.0, 0.0, 0.0)
_MAX_WEIGHTS = (115.0, 115.0, 5000.0, 400.0, 4000.0)
# The bounds if the rule of an image is known, so that its own tokens are almost certain.
_MIN_WEIGHTS_KNOWN = (2.0, 2.0, 0.0, 95.0, 0.0)
_MAX_WEIGHTS_KNOWN = (115.0, 115.0, 64.0, 105.0, 4000.0)
MIN_TEXT_SHARE = 0.25  # share of the predicted tokens of a text; no text was observed to cost less
RELAXATION = 0.25  # share by which a doubtful rejection moves the weights back to the initial ones


@dataclass(slots=True)
class TokenEstimator:
    """Predicts an engine's `prompt_eval_count` and learns from it (recursive least squares).

    image_cost_known: the image rule is that of this model and engine, not a guess.
    weights: tokens per feature, see `PromptCost.features`.
    samples: number of counts that were learned from.
    """

    image_cost_known: bool = False
    weights: list[float] = field(default_factory=lambda: list(_INITIAL_WEIGHTS))
    samples: int = 0
    _covariance: list[list[float]] = field(default_factory=lambda: _diagonal(_INITIAL_VARIANCE))
    _out_of_bounds: bool = (
        False  # a weight is out of bounds; otherwise predictions need no clamping
    )

    def predict(self, cost: PromptCost) -> int:
        """Return the predicted tokens of the whole prompt."""
        x = cost.features()
        tokens = _dot(self.weights, x)
        if self._out_of_bounds:
            least, most = self._bounds()
            tokens = min(max(tokens, _dot(least, x)), _dot(most, x))
        return math.ceil(tokens - 1e-6)

    def lacks_images(self, cost: PromptCost, counted: int) -> bool:
        """Return whether the engine counted fewer tokens than the prompt must have.

        In that case the engine left out images or merged two of them into one.
        """
        if not self.image_cost_known or not cost.images or not counted:
            return False
        bare = PromptCost(cost.ascii_bytes, cost.other_bytes, 0, 0)
        return counted < cost.image_tokens + MIN_TEXT_SHARE * self.predict(bare)

    def learn(self, cost: PromptCost, counted: int) -> None:
        """Update the weights with the tokens that the engine counted.

        A count that is far off is not a count of this prompt (for example, a cached prefix or an
        image was left out) and is ignored. A count that was predicted is ignored as well.
        """
        x = cost.features()
        predicted = _dot(self.weights, x)
        if (
            not predicted / 4 < counted < predicted * 4
            or abs(counted - predicted) < NEGLIGIBLE_ERROR
        ):
            return
        if self.lacks_images(cost, counted):
            return
        gain = [_dot(row, x) for row in self._covariance]
        scale = 1.0 + _dot(gain, x)  # 1.0 is the variance of a count (one token)
        self.weights = [
            weight + step / scale * (counted - predicted)
            for weight, step in zip(self.weights, gain, strict=True)
        ]
        self._covariance = [
            [value - gain[i] * gain[j] / scale for j, value in enumerate(row)]
            for i, row in enumerate(self._covariance)
        ]
        self._out_of_bounds = self._is_out_of_bounds()
        self.samples += 1

    def relax(self, cost: PromptCost, available_tokens: int) -> None:
        """Move the weights towards the initial ones after a prompt was rejected by the prediction.

        A rejected prompt yields no count, so wrong weights would never be corrected. Nothing
        changes if the prompt does not fit by the initial weights either.

        Args:
            available_tokens: tokens that the prompt may have.
        """
        if not self.samples or _dot(_INITIAL_WEIGHTS, cost.features()) > available_tokens:
            return
        self.weights = [
            weight + RELAXATION * (first - weight)
            for weight, first in zip(self.weights, _INITIAL_WEIGHTS, strict=True)
        ]
        self._covariance = _diagonal(_INITIAL_VARIANCE)
        self._out_of_bounds = self._is_out_of_bounds()

    def _bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return (
            (_MIN_WEIGHTS_KNOWN, _MAX_WEIGHTS_KNOWN)
            if self.image_cost_known
            else (_MIN_WEIGHTS, _MAX_WEIGHTS)
        )

    def _is_out_of_bounds(self) -> bool:
        bounds = zip(*self._bounds(), self.weights, strict=True)
        return any(not least <= weight <= most for least, most, weight in bounds)


def _diagonal(values: Sequence[float]) -> list[list[float]]:
    return [
        [value if row == column else 0.0 for column in range(len(values))]
        for row, value in enumerate(values)
    ]


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return float(sum(map(operator.mul, a, b)))
