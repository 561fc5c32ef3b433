"""Chooses the size in which each image of a prompt is sent, so that the prompt fits the context."""

import math
from collections.abc import Sequence

from app.models.tokens import ImageTokenRule
from app.schemas import Detail

Size = tuple[int, int]  # width, height in pixels

MIN_TOKENS = 64  # an image of fewer tokens is not recognisable
# Most tokens of one image. 1,536 tokens are 1.5 megapixels: dense print stays readable.
MAX_TOKENS = {Detail.LOW: 384, Detail.AUTO: 1536}


def fit_size(size: Size, rule: ImageTokenRule, budget: int) -> Size:
    """Return the size (width, height in pixels) in which an image costs at most `budget` tokens.

    An image that fits keeps its size, so that the model's own rounding is the only resampling
    (measured: a second resampling to whole cells loses whole words of small Hangul). A larger image
    is shrunk to the largest whole number of cells that keeps its aspect ratio. No side is shorter
    than one cell.
    """
    width, height = size
    cell = rule.cell
    if min(size) >= cell and rule.tokens(*size) <= budget:
        return size
    scale = min(1.0, math.sqrt(budget * cell * cell / (width * height)))
    columns = max(1, round(width * scale / cell))
    rows = max(1, round(height * scale / cell))
    while columns * rows > max(1, budget):
        if columns >= rows:
            columns -= 1
        else:
            rows -= 1
    return columns * cell, rows * cell


def plan_sizes(
    sizes: Sequence[Size], rule: ImageTokenRule, available_tokens: int, detail: Detail
) -> tuple[Size, ...] | None:
    """Return the sizes (width, height in pixels) in which the images of one prompt are sent.

    Together they cost at most `available_tokens`. Each image gets the same share; tokens that a
    small image does not use go to the larger ones. Returns None if `available_tokens` is too small
    for recognisable images.
    """
    cap = max(MAX_TOKENS.get(detail, rule.max_tokens), rule.min_tokens)
    planned = list(sizes)
    by_need = sorted(range(len(sizes)), key=lambda index: rule.tokens(*sizes[index]))
    for done, index in enumerate(by_need):
        share = available_tokens // (len(sizes) - done)
        if share < min_image_tokens(sizes[index], rule):
            return None
        planned[index] = fit_size(sizes[index], rule, min(share, cap))
        cost = rule.tokens(*planned[index])
        if cost > share:  # the rule raised it to its minimum, in whole cells
            return None
        available_tokens -= cost
    return tuple(planned)


def separate_sizes(sizes: Sequence[Size], rule: ImageTokenRule) -> tuple[Size, ...]:
    """Return sizes (width, height in pixels) in which no two neighbouring images are equal.

    The second of two equal neighbours becomes one column or one row of pixels larger, whichever
    costs fewer tokens (mostly none).
    """
    found: list[Size] = []
    for size in sizes:
        width, height = size
        larger = [(width + 1, height), (width, height + 1)]
        alike = bool(found) and found[-1] == size
        found.append(min(larger, key=lambda one: rule.tokens(*one)) if alike else size)
    return tuple(found)


def min_image_tokens(size: Size, rule: ImageTokenRule) -> int:
    """Return the smallest number of tokens with which an image is recognisable."""
    return max(rule.min_tokens, min(MIN_TOKENS, rule.tokens(*size)))
