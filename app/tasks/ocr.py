"""OCR: reads all text, in reading order, and adds nothing."""

from collections.abc import Sequence

from app.images.probe import Picture
from app.schemas import OcrRequest, TextFormat
from app.tasks.language import name
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
}
MAX_TOKENS = 4096


def asks(
    request: OcrRequest, pictures: Sequence[Picture], default_language: str
) -> tuple[Group, ...]:
    """One turn a picture, so that each is read with the whole budget and in its order.

    A page that carries its own text is not read again, unless another form or something special
    is asked for.
    """
    lines = [READ, FORMATS[request.format]]
    if request.language:
        lines.append(f"The text is in {name(request.language)}.")
    if request.prompt:
        lines.append(request.prompt)
    text = "\n".join(lines)
    plain = request.format is TextFormat.TEXT and not request.prompt
    return tuple(
        (Ask(text, (position,), known=picture.text if plain else None),)
        for position, picture in enumerate(pictures)
    )


TASK = Task(
    name="ocr",
    summary="Read all text, in reading order",
    request=OcrRequest,
    asks=asks,
    sampling=EXACT,
    max_tokens=lambda _request: MAX_TOKENS,
)
