"""The answer of the loaded models to a message with example images."""

import threading

from app.embedded.answers.answer import stream_answer
from app.embedded.answers.intent import parse_intent
from app.embedded.images.decode import decode_images
from app.embedded.models import Models
from tests.embedded.pictures import example


def ask_engine(models: Models, message: str, *names: str) -> str:
    pictures = decode_images([example(name) for name in names], threading.Event())
    return "".join(stream_answer(parse_intent(message), pictures, models, threading.Event()))
