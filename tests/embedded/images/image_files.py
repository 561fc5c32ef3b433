"""Image files made by the tests."""

import io

from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP")


def quarters(image_format: str, **more: object) -> bytes:
    """64 x 32 pixels: black top left, else white."""
    image = Image.new("RGB", (64, 32), "white")
    image.paste((0, 0, 0), (0, 0, 32, 16))
    file = io.BytesIO()
    image.save(file, image_format, **more)
    return file.getvalue()
