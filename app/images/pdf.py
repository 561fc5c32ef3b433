"""PDF: sizes, text and pictures of pages, by PDFium."""

import ctypes
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pypdfium2 as pdfium  # type: ignore[import-untyped]
from PIL import Image

from app.errors import UnreadableImage
from app.images.shared_file import Buffer

POINTS_PER_INCH = 72
# Beyond this nothing more is to be seen on a page: print is made for 150 to 300.
DPI = 200

LEAST_TEXT = 16  # characters; less is a page number or a stamp on a scan
MOST_BAD = 0.02  # share of characters that mean nothing
_BAD = {"Cn", "Co", "Cs", "Cc"}  # unassigned, private use, surrogates, control (Unicode category)

# PDFium is not thread-safe (its own documentation): one call at a time in the whole process.
_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Page:
    """One page as it is shown: size in points, and its text layer where that is sound."""

    number: int
    width: float
    height: float
    text: str | None


class Document:
    """An open PDF; only inside `opened`."""

    def __init__(self, document: pdfium.PdfDocument) -> None:
        self._document = document

    def __len__(self) -> int:
        return len(self._document)

    def page(self, number: int) -> Page:
        """Page `number`, from 1."""
        page = self._document[number - 1]
        try:
            width, height = page.get_size()
            return Page(number, width, height, _sound(_text(page)))
        finally:
            page.close()

    def render(self, number: int, size: tuple[int, int]) -> Image.Image:
        """The page in RGB on white, in `size` (width, height in pixels)."""
        page = self._document[number - 1]
        try:
            width, height = page.get_size()
            # The scale is that of the pixels wanted: a page may be of any size in points.
            scale = max(size[0] / width, size[1] / height)
            image: Image.Image = page.render(scale=scale, rev_byteorder=True).to_pil()
            return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        finally:
            page.close()


@contextmanager
def opened(data: Buffer, name: str) -> Iterator[Document]:
    """The PDF, for one thread at a time.

    Raises:
        UnreadableImage: it is damaged, or wants a password.
    """
    with _LOCK:
        try:
            document = pdfium.PdfDocument(_as_c(data))
        except pdfium.PdfiumError as error:
            why = str(error).lower()
            if "password" in why:
                raise UnreadableImage(
                    f"{name} is a PDF that wants a password. Send it without one."
                ) from None
            raise UnreadableImage(f"{name} is a damaged PDF ({error}).") from None
        try:
            if len(document) == 0:
                raise UnreadableImage(f"{name} is a PDF without pages.")
            document.init_forms()  # else what was filled in is not drawn
            yield Document(document)
        except pdfium.PdfiumError as error:
            raise UnreadableImage(f"{name} is a damaged PDF ({error}).") from None
        finally:
            document.close()


def _as_c(data: Buffer) -> Any:
    """As PDFium takes it without a copy."""
    return data if isinstance(data, bytes) else (ctypes.c_ubyte * len(data)).from_buffer(data)


def _text(page: pdfium.PdfPage) -> str:
    """The text layer in the order of the file, which for most writers is that of reading."""
    layer = page.get_textpage()
    try:
        text: str = layer.get_text_range()
    finally:
        layer.close()
    lines = (line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    # PDFium marks a hyphen at a line's end so.
    return "\n".join(lines).replace("\ufffe", "-").strip()


def _sound(text: str) -> str | None:
    """The text where it can stand for the page: enough of it, hardly any that means nothing
    (a font without a Unicode table gives private-use characters or rubbish)."""
    marks = [char for char in text if not char.isspace()]
    bad = sum(char == "\ufffd" or unicodedata.category(char) in _BAD for char in marks)
    return text if len(marks) >= LEAST_TEXT and bad <= MOST_BAD * len(marks) else None
