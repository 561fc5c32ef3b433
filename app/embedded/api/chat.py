"""Runs one chat request and streams its answer."""

import threading
import time
from collections.abc import AsyncGenerator, Iterator
from typing import Any

from app.embedded.answers.answer import answer_json, stream_answer
from app.embedded.answers.intent import parse_intent
from app.embedded.api.chat_request import ChatRequest
from app.embedded.api.chat_response import Usage, final_chunk, stream_chunk
from app.embedded.api.errors import ApiError
from app.embedded.api.tokens import split_tokens
from app.embedded.engine import Engine
from app.embedded.images.decode import ImageDecodeError, decode_images
from app.embedded.models import Models


async def stream_chat(request: ChatRequest, engine: Engine) -> AsyncGenerator[dict[str, Any]]:
    """Yields one object for each token, and a final object with `done` and usage.

    Raises:
        ApiError: 500 if an image cannot be decoded.
        WeightsError: a weights file is missing or damaged.
    """
    received = time.perf_counter()
    models = await engine.load()
    models_ready = time.perf_counter()
    job = _AnswerJob(request)
    tokens, reason = 0, "stop"
    async with engine.slot() as slot:
        started = time.perf_counter()
        async for text in slot.run(job, models):
            for token in split_tokens(text):
                if request.max_tokens == tokens:
                    reason = "length"
                    break
                tokens += 1
                yield stream_chunk(request.model, token)
            if reason == "length":
                break
    ended = time.perf_counter()
    usage = Usage(
        prompt_tokens=request.prompt_tokens + job.image_tokens,
        completion_tokens=tokens + (reason == "stop"),
        load_s=models_ready - received,
        # Reading and detection count as generation. Otherwise eval_duration would only measure
        # how fast words are copied.
        prompt_eval_s=0.0,
        eval_s=ended - started,
        total_s=ended - received,
    )
    yield final_chunk(request.model, "", reason, usage)


class _AnswerJob:
    """Decodes the images and computes the answer in the thread of a slot."""

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        self.image_tokens = 0

    def __call__(self, models: Models, cancelled: threading.Event) -> Iterator[str]:
        try:
            images = decode_images(self._request.images, cancelled)
        except ImageDecodeError as error:
            message = f"Failed to create new sequence: failed to process inputs: {error}\n"
            raise ApiError(500, message) from None
        self.image_tokens = sum(image.tokens for image in images)
        intent = parse_intent(self._request.text)
        if self._request.format is None:
            yield from stream_answer(intent, images, models, cancelled)
        else:
            schema = self._request.format.schema
            yield answer_json(schema, intent, images, models, cancelled)
