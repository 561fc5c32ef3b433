"""OCR: transcribes all text in reading order and adds nothing."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from app.errors import InvalidParameter
from app.images.picture import Picture
from app.schemas import OcrRequest, TextFormat
from app.tasks.between import Between
from app.tasks.boxes import LineReader
from app.tasks.html import HtmlReader
from app.tasks.joining import Joined, Page, joined
from app.tasks.language import name
from app.tasks.reader import Part, Reader
from app.tasks.task import EXACT, Ask, Group, Task
from app.tasks.unfenced import Unfenced

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
        "Write Markdown: headings, lists, tables as Markdown tables, formulas as LaTeX in $...$ or "
        "$$...$$. No code fence around the whole."
    ),
    TextFormat.HTML: (
        "Write HTML with h1 to h6, p, ul, ol and table only, formulas as LaTeX in $...$ or "
        "$$...$$; no html or body tag, no style, no code fence around the whole."
    ),
    # The prompt of Qwen3-VL's cookbook. Its boxes are on a grid of 0 to 1000.
    TextFormat.JSON: (
        "Spot all the text line by line, and output it in JSON format only: "
        '[{"bbox_2d": [x1, y1, x2, y2], "text_content": "..."}, ...]'
    ),
}
READERS: dict[TextFormat, Callable[[], Reader]] = {
    TextFormat.TEXT: partial(Unfenced, ("", "text", "txt", "plaintext", "markdown")),
    TextFormat.MARKDOWN: partial(Unfenced, ("markdown", "md")),
    TextFormat.HTML: HtmlReader,
}
MAX_TOKENS = 4096
MOST_TEXT = 4_000_000  # characters in all text layers of a request


def asks(
    request: OcrRequest, pictures: Sequence[Picture], default_language: str
) -> tuple[Group, ...]:
    """One model call for each picture, so that each gets the whole image budget.

    A page with a text layer needs no model call, unless the request has a prompt or a format other
    than text. If the text layer lacks a region (a table that is an image), the model reads only
    that region.

    Raises:
        InvalidParameter: the text layers exceed `MOST_TEXT`.
    """
    told = [READ, FORMATS[request.format]]
    if request.language:
        told.append(f"The text is in {name(request.language)}.")
    if request.prompt:
        told.append(request.prompt)
    text = "\n".join(told)
    plain = request.format is TextFormat.TEXT and not request.prompt
    if plain and sum(len(picture.text or "") for picture in pictures) > MOST_TEXT:
        raise InvalidParameter(
            f"The pages have more than {MOST_TEXT} characters of text. Select fewer with `pages`.",
            parameter="pages",
        )

    def ask(position: int, picture: Picture) -> Ask:
        if plain and picture.text is not None and picture.region is None:
            return Ask.of(text, (position,), known=picture.text)
        if plain and picture.text is not None:
            reader = partial(Between, picture.text, picture.below)
            return Ask.of(text, (position,), reader=reader, region=True)
        if request.format is TextFormat.JSON:
            return Ask.of(text, (position,), reader=partial(LineReader, picture))
        return Ask.of(text, (position,), reader=READERS[request.format])

    return tuple((ask(position, picture),) for position, picture in enumerate(pictures))


def data(request: OcrRequest, pictures: Sequence[Picture], parts: Sequence[Part]) -> dict[str, Any]:
    """The `data` field: all lines of all pictures for the format `json`; else the text of each
    page if pages were joined; else nothing."""
    if request.format is TextFormat.JSON:
        readers = [part.reader for part in parts if isinstance(part.reader, LineReader)]
        return {"data": {"lines": [line.data() for reader in readers for line in reader.lines]}}
    if not _documents(pictures):
        return {}
    pages = [
        {"image": picture.index, "page": picture.page, "text": part.text}
        for picture, part in zip(pictures, parts, strict=True)
    ]
    return {"data": {"pages": pages}}


def join(request: OcrRequest, pictures: Sequence[Picture], parts: Sequence[Part]) -> Joined | None:
    """Join the pages of each file into one document. None if no pages are joined."""
    if request.format is TextFormat.JSON or not _documents(pictures):
        return None
    files: dict[int, list[Page]] = {}
    for picture, part in zip(pictures, parts, strict=True):
        files.setdefault(picture.index, []).append(Page(picture.page or 1, part.text))
    made = {index: joined(pages, request.format) for index, pages in files.items()}
    text = "\n\n".join(one.text for one in made.values() if one.text)
    return Joined(
        text, tuple(f"image[{i}]: {note}" for i, one in made.items() for note in one.notes)
    )


def _documents(pictures: Sequence[Picture]) -> bool:
    """Whether any file has several pages."""
    return len({picture.index for picture in pictures}) < len(pictures)


TASK = Task(
    name="ocr",
    summary="Transcribe all text in reading order",
    request=OcrRequest,
    asks=asks,
    sampling=EXACT,
    max_tokens=lambda _request: MAX_TOKENS,
    read=data,
    join=join,
)
