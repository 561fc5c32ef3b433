"""OCR: transcribes all text in reading order and adds nothing."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from app.errors import InvalidParameter
from app.images.picture import Picture
from app.schemas import OcrRequest, TextFormat
from app.tasks.documents.joining import JoinedDocument, PageText, join_pages
from app.tasks.language import language_name
from app.tasks.parsers.base import AnswerParser, AnswerPart
from app.tasks.parsers.boxes import TextLineParser
from app.tasks.parsers.code_fence import CodeFenceParser
from app.tasks.parsers.html import HtmlParser
from app.tasks.parsers.page_region import PageRegionParser
from app.tasks.task import EXACT_SAMPLING, CallGroup, ModelCall, Task

PROMPT = (
    "Transcribe all text in this image, exactly as it is written, in reading order. Keep the "
    "original language, spelling, numbers, punctuation and line breaks; keep the columns of "
    "tables and forms apart and their rows together. Do not translate, correct, explain or "
    "summarise, and add nothing that is not there. Write [?] for what cannot be read. If there is "
    "no text at all, answer with nothing."
)
FORMAT_PROMPTS = {
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
PARSERS: dict[TextFormat, Callable[[], AnswerParser]] = {
    TextFormat.TEXT: partial(CodeFenceParser, ("", "text", "txt", "plaintext", "markdown")),
    TextFormat.MARKDOWN: partial(CodeFenceParser, ("markdown", "md")),
    TextFormat.HTML: HtmlParser,
}
MAX_TOKENS = 4096
MAX_LAYER_CHARACTERS = 4_000_000  # characters in all text layers of a request


def plan_calls(
    request: OcrRequest, pictures: Sequence[Picture], default_language: str
) -> tuple[CallGroup, ...]:
    """One model call for each picture, so that each gets the whole image budget.

    A page with a text layer needs no model call, unless the request has a prompt or a format other
    than text. If the text layer lacks a region (a table that is an image), the model reads only
    that region.

    Raises:
        InvalidParameter: the text layers exceed `MAX_LAYER_CHARACTERS`.
    """
    lines = [PROMPT, FORMAT_PROMPTS[request.format]]
    if request.language:
        lines.append(f"The text is in {language_name(request.language)}.")
    if request.prompt:
        lines.append(request.prompt)
    text = "\n".join(lines)
    plain_text = request.format is TextFormat.TEXT and not request.prompt
    if plain_text and sum(len(picture.text or "") for picture in pictures) > MAX_LAYER_CHARACTERS:
        raise InvalidParameter(
            f"The pages have more than {MAX_LAYER_CHARACTERS} characters of text. Select fewer "
            "with `pages`.",
            parameter="pages",
        )

    def call_for(position: int, picture: Picture) -> ModelCall:
        if plain_text and picture.text is not None and picture.region is None:
            return ModelCall.after_system(text, (position,), known_answer=picture.text)
        if plain_text and picture.text is not None:
            parser = partial(PageRegionParser, picture.text, picture.below)
            return ModelCall.after_system(text, (position,), parser=parser, region=True)
        if request.format is TextFormat.JSON:
            return ModelCall.after_system(
                text, (position,), parser=partial(TextLineParser, picture)
            )
        return ModelCall.after_system(text, (position,), parser=PARSERS[request.format])

    return tuple((call_for(position, picture),) for position, picture in enumerate(pictures))


def ocr_data(
    request: OcrRequest, pictures: Sequence[Picture], parts: Sequence[AnswerPart]
) -> dict[str, Any]:
    """The `data` field: all lines of all pictures for the format `json`; else the text of each
    page if pages were joined; else nothing."""
    if request.format is TextFormat.JSON:
        parsers = [part.parser for part in parts if isinstance(part.parser, TextLineParser)]
        return {"data": {"lines": [line.to_dict() for parser in parsers for line in parser.lines]}}
    if not _has_documents(pictures):
        return {}
    pages = [
        {"image": picture.index, "page": picture.page, "text": part.text}
        for picture, part in zip(pictures, parts, strict=True)
    ]
    return {"data": {"pages": pages}}


def join_documents(
    request: OcrRequest, pictures: Sequence[Picture], parts: Sequence[AnswerPart]
) -> JoinedDocument | None:
    """Join the pages of each file into one document. None if no pages are joined."""
    if request.format is TextFormat.JSON or not _has_documents(pictures):
        return None
    files: dict[int, list[PageText]] = {}
    for picture, part in zip(pictures, parts, strict=True):
        files.setdefault(picture.index, []).append(PageText(picture.page or 1, part.text))
    made = {index: join_pages(pages, request.format) for index, pages in files.items()}
    text = "\n\n".join(one.text for one in made.values() if one.text)
    return JoinedDocument(
        text, tuple(f"image[{i}]: {note}" for i, one in made.items() for note in one.notes)
    )


def _has_documents(pictures: Sequence[Picture]) -> bool:
    """Whether any file has several pages."""
    return len({picture.index for picture in pictures}) < len(pictures)


TASK = Task(
    name="ocr",
    summary="Transcribe all text in reading order",
    request=OcrRequest,
    plan_calls=plan_calls,
    sampling=EXACT_SAMPLING,
    max_tokens=lambda _request: MAX_TOKENS,
    build_fields=ocr_data,
    join_pages=join_documents,
)
