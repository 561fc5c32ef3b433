"""Pictures of text lines, drawn as blocks of ink."""

import numpy as np

from app.embedded.images.pixels import Pixels


def drawn_line(*runs: tuple[int, int], width: int = 400, height: int = 40) -> Pixels:
    """Ink in the columns of `runs`, 30 pixels high."""
    image = np.full((height, width, 3), 255, dtype=np.uint8)
    for start, end in runs:
        image[5:35, start:end] = 0
    return image
