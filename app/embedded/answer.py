"""What the engine says to an intent: the text it read, and honest sentences about the rest."""

import re
import threading
from collections.abc import Iterable, Iterator, Sequence

from app.embedded import labelled, ocr, picture
from app.embedded.intent import Intent, Kind
from app.embedded.page import Readers
from app.embedded.phrases import ENGLISH, KOREAN, Phrases
from app.embedded.picture import Picture


def answer(
    intent: Intent, images: Sequence[Picture], readers: Readers, cancelled: threading.Event
) -> Iterator[str]:
    """The answer in pieces, each as soon as it is known; together they are the whole text.

    Raises:
        Cancelled: `cancelled` was set.
    """
    phrases = KOREAN if intent.korean else ENGLISH
    if not images:
        yield phrases.no_picture
        return
    readings = (ocr.read(image.pixels, readers, cancelled) for image in images)
    match intent.kind:
        case Kind.READ:
            texts: Iterable[Iterator[str]] = (_text(found, phrases) for found in readings)
        case Kind.DESCRIBE:
            texts = (
                _description(image, found, phrases)
                for image, found in zip(images, readings, strict=True)
            )
        case Kind.ASK:
            yield from _reply(intent.question, images, readings, phrases)
            return
    yield from _separated(texts, "\n\n")


def decode(images: Sequence[bytes]) -> list[Picture]:
    """The pictures of a message.

    Raises:
        PictureError: one of them is not a picture.
    """
    return [picture.decode(data) for data in images]


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


def _description(image: Picture, reading: Iterable[ocr.Found], phrases: Phrases) -> Iterator[str]:
    yield f"{phrases.reads_only} {_size(image, phrases)} "
    text = _text(reading, phrases)
    first = next(text, "")
    yield f"{phrases.text_follows}\n{first}" if first else phrases.no_text
    yield from text


def _reply(
    question: str,
    images: Sequence[Picture],
    readings: Iterable[Iterable[ocr.Found]],
    phrases: Phrases,
) -> Iterator[str]:
    """The value that the text gives, or all that is known: the sizes and the text."""
    texts = ["".join(_text(reading, phrases)) for reading in readings]
    found = labelled.find(question, "\n".join(texts).splitlines())
    if found is not None:
        yield f"{found.answer}\n"
        if found.first_line:
            yield phrases.basis_first_line
        else:
            yield phrases.basis.format(line=" / ".join(map(_close, found.lines)))
        return
    yield phrases.cannot_know
    for image, text in zip(images, texts, strict=True):
        yield f" {_size(image, phrases)} "
        yield f"{phrases.text_follows}\n{text}\n" if text else phrases.no_text
    yield f"\n{phrases.connect}"


def _close(line: str) -> str:
    """A line to quote: the gaps of the page's columns made small."""
    return re.sub(r"\s{2,}", "  ", line)


def _size(image: Picture, phrases: Phrases) -> str:
    return phrases.size.format(width=image.width, height=image.height)


def _separated(texts: Iterable[Iterator[str]], separator: str) -> Iterator[str]:
    """The pieces of all texts that are not empty, with the separator between the texts."""
    begun = False
    for text in texts:
        gap = separator if begun else ""
        for piece in text:
            if piece:
                yield gap + piece
                gap, begun = "", True
