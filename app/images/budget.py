"""Tokens <-> pixels. A model sees an image as squares of `cell` pixels, a token each.

Source: Qwen3-VL has patches of 16 pixels merged 2x2, so cells of 32; sides are rounded to whole
cells. Ollama 0.12.7 takes at most 2,097,152 pixels, which is 2,048 tokens.
"""

import math

from app.errors import ContextOverflow
from app.schemas import Detail

MIN_TOKENS = 64
# The most that one image gets. 1,536 are 1.5 megapixels: dense print stays readable.
MAX_TOKENS = {Detail.LOW: 384, Detail.AUTO: 1536, Detail.HIGH: 2048}


def tokens(width: int, height: int, cell: int) -> int:
    """Tokens of an image of so many pixels."""
    return math.ceil(width / cell) * math.ceil(height / cell)


def fit(width: int, height: int, cell: int, budget: int) -> tuple[int, int]:
    """The size to send an image in, so that it costs at most `budget` tokens.

    One that fits stays as it is: the model's own rounding then is the only resampling (measured:
    another one to whole cells costs small Hangul whole words). One that does not is shrunk to
    whole cells, the largest of its shape. No side comes out under one cell.
    """
    if min(width, height) >= cell and tokens(width, height, cell) <= budget:
        return width, height
    scale = min(1.0, math.sqrt(budget * cell * cell / (width * height)))
    columns = max(1, round(width * scale / cell))
    rows = max(1, round(height * scale / cell))
    while columns * rows > budget:
        if columns >= rows:
            columns -= 1
        else:
            rows -= 1
    return columns * cell, rows * cell


def per_image(images: int, num_ctx: int, text_tokens: int, answer: int, detail: Detail) -> int:
    """How many tokens each of the images of one prompt may cost.

    Raises:
        ContextOverflow: prompt, images and answer do not fit, with the numbers.
    """
    room = num_ctx - text_tokens - answer
    share = room // images
    if share < MIN_TOKENS:
        raise ContextOverflow(
            f"{images} image(s) of at least {MIN_TOKENS} tokens, {text_tokens} tokens of text and "
            f"{answer} for the answer do not fit the context of {num_ctx} tokens. Send fewer "
            "images or less text, or lower max_tokens.",
            num_ctx=num_ctx,
            text_tokens=text_tokens,
            max_tokens=answer,
        )
    return min(share, MAX_TOKENS[detail])
