"""OCR: reads all text, in reading order, and adds nothing."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from app.images.probe import Picture
from app.schemas import OcrRequest, TextFormat
from app.tasks.boxes import LineReader
from app.tasks.language import name
from app.tasks.reader import Part, Reader
from app.tasks.task import EXACT, Ask, Group, Task

READ = (
    "Transcribe all text in this image, exactly as it is written, in reading order. Keep the "
    "original language, spelling, numbers, punctuation and line breaks; keep the columns of "
    "tables and forms apart and their rows together. Do not translate, correct, explain or "
    "summarise, and add nothing that is not there. Write [?] for what cannot be read. If there is "
    "no text at all, answer with nothing."
)
FORMATS = {
    TextFormat.TEXT: "Write plain text.",
    TextFormat.MARKDOWN: (
        "Write Markdown: headings, lists, tables as Markdown tables, formulas as LaTeX. No code "
        "fence around the whole."
    ),
    TextFormat.HTML: (
        "Write HTML with h1 to h6, p, ul, ol and table only; no html or body tag, no style, no "
        "code fence around the whole."
    ),
    # Qwen3-VL's own words for it (its cookbook): boxes come on a grid of 0 to 1000.
    TextFormat.JSON: (
        "Spot all the text line by line, and output it in JSON format only: "
        '[{"bbox_2d": [x1, y1, x2, y2], "text_content": "..."}, ...]'
    ),
}
MAX_TOKENS = 4096


def asks(
    request: OcrRequest, pictures: Sequence[Picture], default_language: str
) -> tuple[Group, ...]:
    """One turn a picture, so that each is read with the whole budget and in its order.

    A page that carries its own text is not read again, unless another form or something special
    is asked for.
    """
    told = [READ, FORMATS[request.format]]
    if request.language:
        told.append(f"The text is in {name(request.language)}.")
    if request.prompt:
        told.append(request.prompt)
    text = "\n".join(told)
    plain = request.format is TextFormat.TEXT and not request.prompt
    boxed = request.format is TextFormat.JSON
    return tuple(
        (
            Ask.of(
                text,
                (position,),
                known=picture.text if plain else None,
                reader=partial(LineReader, picture) if boxed else Reader,
            ),
        )
        for position, picture in enumerate(pictures)
    )


def lines(request: OcrRequest, parts: Sequence[Part]) -> dict[str, Any]:
    """Where boxes were asked for: all lines of all pictures, in order."""
    if request.format is not TextFormat.JSON:
        return {}
    readers = [part.reader for part in parts if isinstance(part.reader, LineReader)]
    return {"data": {"lines": [asdict(line) for reader in readers for line in reader.lines]}}


TASK = Task(
    name="ocr",
    summary="Read all text, in reading order",
    request=OcrRequest,
    asks=asks,
    sampling=EXACT,
    max_tokens=lambda _request: MAX_TOKENS,
    read=lines,
)
