"""How large each image of a prompt is sent, so that all of it fits the context."""

import math
from collections.abc import Sequence

from app.models.tokens import ImageRule
from app.schemas import Detail

Size = tuple[int, int]  # width, height in pixels

LEAST_TOKENS = 64  # an image of less cannot be made out
# The most that one image gets. 1,536 are 1.5 megapixels: dense print stays readable.
MOST_TOKENS = {Detail.LOW: 384, Detail.AUTO: 1536}


def fit(size: Size, rule: ImageRule, budget: int) -> Size:
    """The size to send an image in, so that it costs at most `budget` tokens.

    One that fits stays as it is: the model's own rounding then is the only resampling (measured:
    another one to whole cells costs small Hangul whole words). One that does not is shrunk to
    whole cells, the largest of its shape. No side comes out under one cell.
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


def plan(
    sizes: Sequence[Size], rule: ImageRule, room: int, detail: Detail
) -> tuple[Size, ...] | None:
    """Sizes to send the images of one prompt in, together at most `room` tokens; None where they
    could not be made out within that.

    Each gets the same share; what a small one leaves goes to the larger ones.
    """
    cap = max(MOST_TOKENS.get(detail, rule.max_tokens), rule.min_tokens)
    planned = list(sizes)
    by_need = sorted(range(len(sizes)), key=lambda index: rule.tokens(*sizes[index]))
    for done, index in enumerate(by_need):
        share = room // (len(sizes) - done)
        if share < least(sizes[index], rule):
            return None
        planned[index] = fit(sizes[index], rule, min(share, cap))
        cost = rule.tokens(*planned[index])
        if cost > share:  # raised to the rule's minimum, in whole cells
            return None
        room -= cost
    return tuple(planned)


def apart(sizes: Sequence[Size], rule: ImageRule) -> tuple[Size, ...]:
    """The sizes of neighbouring images, no two neighbours alike: one of a pair is a column or a row
    of pixels larger, whichever costs less (mostly nothing)."""
    found: list[Size] = []
    for size in sizes:
        width, height = size
        larger = [(width + 1, height), (width, height + 1)]
        alike = bool(found) and found[-1] == size
        found.append(min(larger, key=lambda one: rule.tokens(*one)) if alike else size)
    return tuple(found)


def least(size: Size, rule: ImageRule) -> int:
    """The fewest tokens that an image can be made out with."""
    return max(rule.min_tokens, min(LEAST_TOKENS, rule.tokens(*size)))
