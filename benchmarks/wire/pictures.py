"""The pictures that are sent: made, not taken, and the same bytes each time."""

import functools
import io
import random

from PIL import Image, ImageDraw

SMALL = (640, 480)
PHOTO = (4000, 3000)
TILE = 1000  # pixels a side of the grain that is laid over a picture again and again


@functools.cache
def small() -> bytes:
    """640x480, about 51 kB: nothing about it has to be changed for the model."""
    return jpeg(*SMALL, grain=0.11, quality=85)


@functools.cache
def photo(width: int = PHOTO[0], height: int = PHOTO[1]) -> bytes:
    """As a phone takes it, about 0.4 bytes a pixel: 4.8 MB at 12 megapixels."""
    return jpeg(width, height, grain=0.15, quality=92)


def jpeg(width: int, height: int, grain: float, quality: int) -> bytes:
    """Colours that run into each other, discs, and a share (0 to 1) of grain."""
    chance = random.Random(7)
    ramp = Image.linear_gradient("L").resize((width, height))
    image = Image.merge("RGB", (ramp, ramp.transpose(Image.Transpose.FLIP_TOP_BOTTOM), ramp))
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        x, y = chance.randrange(width), chance.randrange(height)
        radius = chance.randrange(width // 60, width // 12)
        colour = (chance.randrange(256), chance.randrange(256), chance.randrange(256))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    tile = Image.frombytes("RGB", (TILE, TILE), chance.randbytes(TILE * TILE * 3))
    noise = Image.new("RGB", (width, height))
    for left in range(0, width, TILE):
        for top in range(0, height, TILE):
            noise.paste(tile, (left, top))
    out = io.BytesIO()
    Image.blend(image, noise, grain).save(out, "JPEG", quality=quality)
    return out.getvalue()
