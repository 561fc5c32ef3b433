"""The answer of the loaded models to a message with example images."""

import threading

from app.embedded.answers.answer import answer
from app.embedded.answers.intent import understand
from app.embedded.images.decode import decode_images
from app.embedded.models import Models
from tests.embedded.pictures import example


def say(models: Models, message: str, *names: str) -> str:
    pictures = decode_images([example(name) for name in names], threading.Event())
    return "".join(answer(understand(message), pictures, models, threading.Event()))
