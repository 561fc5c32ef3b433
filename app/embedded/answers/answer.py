"""Answers an intent with what was read, measured and detected, and with nothing else."""

import json
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from app.embedded.answers import extract, grounding, key_value, render, vqa
from app.embedded.answers.intent import Intent, Task
from app.embedded.answers.messages import ENGLISH, KOREAN, Messages
from app.embedded.content_cache import ImageContent
from app.embedded.images.decode import Picture
from app.embedded.models import Models
from app.embedded.ocr import reader
from app.embedded.vision.image_facts import gather_facts

MAX_CAPTION_TEXT = 80  # characters of text in a caption


def stream_answer(
    intent: Intent, images: Sequence[Picture], models: Models, cancelled: threading.Event
) -> Iterator[str]:
    """Yields the answer in pieces, each as soon as it is known.

    Raises:
        Cancelled: `cancelled` was set.
    """
    messages = KOREAN if intent.korean else ENGLISH
    if not images:
        yield messages.no_image
        return
    match intent.task:
        case Task.OCR:
            readings = (reader.read_image(image.pixels, models.ocr, cancelled) for image in images)
            yield from _join_streams((_text_stream(found, messages) for found in readings), "\n\n")
        case Task.GROUND:
            yield grounding.grounded_json(intent.message, images, models, cancelled)
        case Task.DESCRIBE | Task.CAPTION:
            describe = _caption if intent.task is Task.CAPTION else _describe
            texts = (describe(image, models, messages, cancelled) for image in images)
            yield from _join_streams(texts, "\n\n")
        case Task.VQA:
            yield from _answer_question(intent.question, images, models, messages, cancelled)


def answer_json(
    schema: dict[str, Any] | None,
    intent: Intent,
    images: Sequence[Picture],
    models: Models,
    cancelled: threading.Event,
) -> str:
    """Returns the answer as JSON. Fields that are not found are null.

    Args:
        schema: a JSON Schema; None: an object with the answer as text.

    Raises:
        Cancelled: `cancelled` was set.
    """
    if schema is None:
        text = "".join(stream_answer(intent, images, models, cancelled))
        key = "text" if intent.task is Task.OCR else "answer"
        return json.dumps({key: text}, ensure_ascii=False)
    lines: list[str] = []
    for image in images:
        reading = reader.read_image(image.pixels, models.ocr, cancelled)
        lines += [found.text for found in reading if isinstance(found, reader.TextLine)]
    return json.dumps(extract.fill_schema(schema, lines), ensure_ascii=False)


def _text_stream(reading: Iterable[reader.ReadEvent], messages: Messages) -> Iterator[str]:
    """The lines that were read, and notices about what was not read."""
    lines = (iter((_event_text(found, messages),)) for found in reading)
    return _join_streams(lines, "\n")


def _event_text(found: reader.ReadEvent, messages: Messages) -> str:
    match found:
        case reader.TextLine(text):
            return text
        case reader.Truncated(seconds=float(seconds)):
            return messages.stopped_after_time.format(seconds=seconds)
        case reader.Truncated(boxes=boxes):
            return messages.stopped_after_boxes.format(boxes=boxes)
        case reader.KoreanUnavailable(reason):
            return messages.no_korean.format(reason=reason)


def _describe(
    image: Picture, models: Models, messages: Messages, cancelled: threading.Event
) -> Iterator[str]:
    """Yields the facts, the text, and a disclaimer for photos."""
    facts = gather_facts(image, models.ocr, models.vision, cancelled)
    yield f"{render.render_description(facts, messages)} "
    text = _text_stream(reader.read_page(facts.page, models.ocr, cancelled), messages)
    first = next(text, "")
    yield f"{messages.text_follows}\n{first}" if first else messages.no_text
    yield from text
    if facts.image_type.may_show_objects:
        yield f"\n{messages.disclaimer}" if first else f" {messages.disclaimer}"


def _caption(
    image: Picture, models: Models, messages: Messages, cancelled: threading.Event
) -> Iterator[str]:
    """Yields one or two sentences, and the beginning of the text."""
    facts = gather_facts(image, models.ocr, models.vision, cancelled)
    yield render.render_caption(facts, messages)
    reading = reader.read_page(facts.page, models.ocr, cancelled)
    text = ""
    for found in reading:
        if isinstance(found, reader.TextLine):
            text = f"{text} {_narrow_gaps(found.text.strip())}".strip()
        if len(text) > MAX_CAPTION_TEXT:
            text = f"{text[:MAX_CAPTION_TEXT].rstrip()}…"
            break
    if text:
        yield f" {messages.text_brief.format(text=text)}"


def _answer_question(
    question: str,
    images: Sequence[Picture],
    models: Models,
    messages: Messages,
    cancelled: threading.Event,
) -> Iterator[str]:
    """Answers from the text, else from the facts, else that the engine does not know."""
    contents = [_image_content(image, models, messages, cancelled) for image in images]
    # A question about a barcode is not answered by a line with the word "code".
    if not vqa.ABOUT_BARCODE.search(question):
        found = key_value.find_value(question, [line for one in contents for line in one.lines])
        if found is not None:
            yield f"{found.value}\n{_basis(found, messages)}"
            return
    answers = [vqa.answer_from_facts(question, one.facts, one.lines, messages) for one in contents]
    texts = [f"{answer.text}\n{answer.basis}".strip() for answer in answers if answer]
    if not texts:
        yield f"{messages.cannot_know} {messages.suggestion}"
    elif len(images) == 1:
        yield texts[0]
    else:
        numbered = [
            messages.numbered_image.format(
                number=number, text=f"{answer.text} {answer.basis}".strip()
            )
            for number, answer in enumerate(answers, 1)
            if answer
        ]
        yield "\n".join(numbered)


def _image_content(
    image: Picture, models: Models, messages: Messages, cancelled: threading.Event
) -> ImageContent:
    def compute() -> ImageContent:
        facts = gather_facts(image, models.ocr, models.vision, cancelled)
        reading = reader.read_page(facts.page, models.ocr, cancelled)
        return ImageContent(facts, tuple("".join(_text_stream(reading, messages)).splitlines()))

    return models.content_cache.get_or_compute(image, messages is KOREAN, compute)


def _basis(found: key_value.KeyValue, messages: Messages) -> str:
    if found.first_line:
        return messages.basis_first_line
    return messages.basis_line.format(line=" / ".join(map(_narrow_gaps, found.lines)))


def _narrow_gaps(line: str) -> str:
    """Reduces the gaps between columns for a quotation."""
    return re.sub(r"\s{2,}", "  ", line)


def _join_streams(texts: Iterable[Iterator[str]], separator: str) -> Iterator[str]:
    """Joins the pieces of several texts, with a separator between texts that are not empty."""
    started = False
    for text in texts:
        gap = separator if started else ""
        for piece in text:
            if piece:
                yield gap + piece
                gap, started = "", True
