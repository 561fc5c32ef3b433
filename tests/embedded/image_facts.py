"""The facts of image files and of pixels."""

import threading
from pathlib import Path

from app.embedded.images.decode import Picture, decode
from app.embedded.images.pixels import Pixels
from app.embedded.models import Models
from app.embedded.vision import image_facts as facts
from app.embedded.vision.image_facts import Facts

PHOTOS = Path(__file__).with_name("photos")


def known(models: Models, path: Path) -> Facts:
    return facts.gather(decode(path.read_bytes()), models.readers, models.sight, threading.Event())


def gather(models: Models, pixels: Pixels) -> Facts:
    return facts.gather(Picture(pixels), models.readers, models.sight, threading.Event())
