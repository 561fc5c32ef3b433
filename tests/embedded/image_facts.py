"""The facts of image files and of pixels."""

import threading
from pathlib import Path

from app.embedded.images.decode import Picture, decode_image
from app.embedded.images.pixels import Pixels
from app.embedded.models import Models
from app.embedded.vision.image_facts import ImageFacts, gather_facts

PHOTOS = Path(__file__).with_name("photos")


def facts_of_file(models: Models, path: Path) -> ImageFacts:
    return gather_facts(
        decode_image(path.read_bytes()), models.ocr, models.vision, threading.Event()
    )


def facts_of_pixels(models: Models, pixels: Pixels) -> ImageFacts:
    return gather_facts(Picture(pixels), models.ocr, models.vision, threading.Event())
