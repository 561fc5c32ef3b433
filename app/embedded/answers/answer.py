"""What the engine says to an intent: what it read, measured and detected, and nothing else."""

import json
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from app.embedded.answers import extract, vqa
from app.embedded.answers import grounding as spots
from app.embedded.answers import key_value as labelled
from app.embedded.answers import render as saying
from app.embedded.answers.facts_cache import Known
from app.embedded.answers.intent import Intent, Kind
from app.embedded.answers.messages import ENGLISH, KOREAN, Phrases
from app.embedded.images.decode import Picture
from app.embedded.models import Models
from app.embedded.ocr import reader as ocr
from app.embedded.vision import image_facts as facts

BRIEF_TEXT = 80  # characters of the text that a caption quotes


def answer(
    intent: Intent, images: Sequence[Picture], models: Models, cancelled: threading.Event
) -> Iterator[str]:
    """The answer in pieces, each as soon as it is known; together they are the whole text.

    Raises:
        Cancelled: `cancelled` was set.
    """
    phrases = KOREAN if intent.korean else ENGLISH
    if not images:
        yield phrases.no_picture
        return
    match intent.kind:
        case Kind.READ:
            readings = (ocr.read(image.pixels, models.readers, cancelled) for image in images)
            yield from _separated((_text(found, phrases) for found in readings), "\n\n")
        case Kind.SPOT:
            yield spots.spots(intent.message, images, models, cancelled)
        case Kind.DESCRIBE | Kind.CAPTION:
            say = _caption if intent.kind is Kind.CAPTION else _description
            texts = (say(image, models, phrases, cancelled) for image in images)
            yield from _separated(texts, "\n\n")
        case Kind.ASK:
            yield from _reply(intent.question, images, models, phrases, cancelled)


def structured(
    schema: dict[str, Any] | None,
    intent: Intent,
    images: Sequence[Picture],
    models: Models,
    cancelled: threading.Event,
) -> str:
    """The answer as JSON and nothing else: what the schema asks for, null where that is not found.

    Args:
        schema: a JSON Schema; None: any JSON will do, and it holds the answer as a text.

    Raises:
        Cancelled: `cancelled` was set.
    """
    if schema is None:
        said = "".join(answer(intent, images, models, cancelled))
        key = "text" if intent.kind is Kind.READ else "answer"
        return json.dumps({key: said}, ensure_ascii=False)
    lines: list[str] = []
    for image in images:
        reading = ocr.read(image.pixels, models.readers, cancelled)
        lines += [found.text for found in reading if isinstance(found, ocr.Line)]
    return json.dumps(extract.fill(schema, lines), ensure_ascii=False)


def _text(reading: Iterable[ocr.Found], phrases: Phrases) -> Iterator[str]:
    """The read lines and nothing else, but for what was not read."""
    lines = (iter((_line(found, phrases),)) for found in reading)
    return _separated(lines, "\n")


def _line(found: ocr.Found, phrases: Phrases) -> str:
    match found:
        case ocr.Line(text):
            return text
        case ocr.Stopped(seconds=float(seconds)):
            return phrases.stopped_time.format(seconds=seconds)
        case ocr.Stopped(boxes=boxes):
            return phrases.stopped_boxes.format(boxes=boxes)
        case ocr.NoKorean(reason):
            return phrases.no_korean.format(reason=reason)


def _description(
    image: Picture, models: Models, phrases: Phrases, cancelled: threading.Event
) -> Iterator[str]:
    """What kind of picture, what was found in it, its text, and what cannot be known."""
    known = facts.gather(image, models.readers, models.sight, cancelled)
    yield f"{saying.description(known, phrases)} "
    text = _text(ocr.read_page(known.page, models.readers, cancelled), phrases)
    first = next(text, "")
    yield f"{phrases.text_follows}\n{first}" if first else phrases.no_text
    yield from text
    if known.verdict.photographic:
        yield f"\n{phrases.limits}" if first else f" {phrases.limits}"


def _caption(
    image: Picture, models: Models, phrases: Phrases, cancelled: threading.Event
) -> Iterator[str]:
    """The same in a sentence or two."""
    known = facts.gather(image, models.readers, models.sight, cancelled)
    yield saying.brief(known, phrases)
    reading = ocr.read_page(known.page, models.readers, cancelled)
    text = ""
    for found in reading:
        if isinstance(found, ocr.Line):
            text = f"{text} {_close(found.text.strip())}".strip()
        if len(text) > BRIEF_TEXT:
            text = f"{text[:BRIEF_TEXT].rstrip()}…"
            break
    if text:
        yield f" {phrases.text_brief.format(text=text)}"


def _reply(
    question: str,
    images: Sequence[Picture],
    models: Models,
    phrases: Phrases,
    cancelled: threading.Event,
) -> Iterator[str]:
    """The value that the text gives, else what the facts answer, else that it is not known."""
    known = [_known(image, models, phrases, cancelled) for image in images]
    # A question about a code is not about a line that has the word in it.
    if not vqa.CODE.search(question):
        found = labelled.find(question, [line for one in known for line in one.lines])
        if found is not None:
            yield f"{found.answer}\n{_basis(found, phrases)}"
            return
    replies = [vqa.reply(question, one.facts, one.lines, phrases) for one in known]
    texts = [f"{reply.text}\n{reply.basis}".strip() for reply in replies if reply]
    if not texts:
        yield f"{phrases.cannot_know} {phrases.connect}"
    elif len(images) == 1:
        yield texts[0]
    else:
        numbered = [
            phrases.image.format(number=number, text=f"{reply.text} {reply.basis}".strip())
            for number, reply in enumerate(replies, 1)
            if reply
        ]
        yield "\n".join(numbered)


def _known(image: Picture, models: Models, phrases: Phrases, cancelled: threading.Event) -> Known:
    def learn() -> Known:
        found = facts.gather(image, models.readers, models.sight, cancelled)
        reading = ocr.read_page(found.page, models.readers, cancelled)
        return Known(found, tuple("".join(_text(reading, phrases)).splitlines()))

    return models.memory.recall(image, phrases is KOREAN, learn)


def _basis(found: labelled.Found, phrases: Phrases) -> str:
    if found.first_line:
        return phrases.basis_first_line
    return phrases.basis.format(line=" / ".join(map(_close, found.lines)))


def _close(line: str) -> str:
    """A line to quote: the gaps of the page's columns made small."""
    return re.sub(r"\s{2,}", "  ", line)


def _separated(texts: Iterable[Iterator[str]], separator: str) -> Iterator[str]:
    """The pieces of all texts that are not empty, with the separator between the texts."""
    begun = False
    for text in texts:
        gap = separator if begun else ""
        for piece in text:
            if piece:
                yield gap + piece
                gap, begun = "", True
