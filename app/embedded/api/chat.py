"""One chat: the answer's deltas as they are read, then its last object."""

import threading
import time
from collections.abc import AsyncGenerator, Iterator
from typing import Any

from app.embedded.answers.answer import answer, structured
from app.embedded.answers.intent import understand
from app.embedded.api.chat_request import ChatRequest
from app.embedded.api.chat_response import Counts, delta, done
from app.embedded.api.errors import ProtocolError
from app.embedded.api.tokens import pieces
from app.embedded.engine import Engine
from app.embedded.images.decode import PictureError, decode_images
from app.embedded.models import Models


async def chat(request: ChatRequest, engine: Engine) -> AsyncGenerator[dict[str, Any]]:
    """Ollama's stream of one answer, the last object with `done`.

    Raises:
        ProtocolError: 500, an image that cannot be decoded.
        WeightsError: the models are missing.
    """
    asked = time.perf_counter()
    models = await engine.load()
    loaded = time.perf_counter()
    work = _Work(request)
    count, reason = 0, "stop"
    async with engine.slot() as slot:
        begun = time.perf_counter()
        async for text in slot.run(work, models):
            for piece in pieces(text):
                if request.limit == count:
                    reason = "length"
                    break
                count += 1
                yield delta(request.model, piece)
            if reason == "length":
                break
    ended = time.perf_counter()
    counts = Counts(
        prompt_pieces=request.prompt_pieces + work.image_tokens,
        pieces=count + (reason == "stop"),
        load_s=loaded - asked,
        # Looking is what takes the time, and what the answer is made by: without it the rate would
        # be that of copying words.
        prompt_s=0.0,
        answer_s=ended - begun,
        total_s=ended - asked,
    )
    yield done(request.model, "", reason, counts)


class _Work:
    """Decodes and answers, in the thread of a slot."""

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        self.image_tokens = 0

    def __call__(self, models: Models, cancelled: threading.Event) -> Iterator[str]:
        try:
            images = decode_images(self._request.images, cancelled)
        except PictureError as error:
            message = f"Failed to create new sequence: failed to process inputs: {error}\n"
            raise ProtocolError(500, message) from None
        self.image_tokens = sum(image.tokens for image in images)
        intent = understand(self._request.text)
        if self._request.format is None:
            yield from answer(intent, images, models, cancelled)
        else:
            schema = self._request.format.schema
            yield structured(schema, intent, images, models, cancelled)
