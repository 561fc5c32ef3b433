"""Pictures for tests, made in memory."""

import base64
import io
from typing import Any

from PIL import Image, ImageDraw


def scene(width: int = 640, height: int = 480) -> Image.Image:
    """A picture with an up, a left and no symmetry: red top left, green right, blue below."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width // 3, height // 3), fill=(220, 30, 30))
    draw.rectangle((2 * width // 3, 0, width, height // 2), fill=(30, 200, 30))
    draw.rectangle((0, 3 * height // 4, width, height), fill=(30, 30, 220))
    return image


def encoded(image: Image.Image, form: str = "JPEG", **how: Any) -> bytes:
    """The image as a file's bytes."""
    out = io.BytesIO()
    image.save(out, form, **how)
    return out.getvalue()


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()
