"""PDF: sizes, text and pictures of pages, by PDFium."""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pypdfium2 as pdfium  # type: ignore[import-untyped]
from PIL import Image

from app.errors import UnreadableImage
from app.images.pdf import annotations, page_objects, text_layer
from app.images.pdf.font_claims import Fonts
from app.images.pdf.page_pictures import Shares
from app.images.shared_file import Buffer

POINTS_PER_INCH = 72
# Beyond this nothing more is to be seen on a page: print is made for 150 to 300.
DPI = 200

# PDFium is not thread-safe (its own documentation): one call at a time in the whole process.
_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Page:
    """One page as it is shown: size in points, and its text layer where that serves (see
    `text_layer.Layer`)."""

    number: int
    width: float
    height: float
    text: str | None
    notes: tuple[str, ...] = ()
    region: Shares | None = None
    below: str = ""


class Document:
    """An open PDF; only inside `opened`."""

    def __init__(self, document: pdfium.PdfDocument) -> None:
        self._document = document
        self._fonts = Fonts()

    def __len__(self) -> int:
        return len(self._document)

    def page(self, number: int, *, with_layer: bool = True) -> Page:
        """Page `number`, from 1; with its text layer, or without looking at that."""
        if not with_layer:
            width, height = self._document.get_page_size(number - 1)
            return Page(number, width, height, None)
        page, filled, checked = self._opened(number)
        try:
            width, height = page.get_size()
            layer = text_layer.layer(page, self._fonts, filled=filled, checked=checked)
            return Page(number, width, height, layer.text, layer.notes, layer.region, layer.below)
        finally:
            page.close()

    def render(
        self, number: int, size: tuple[int, int], region: Shares | None = None
    ) -> Image.Image:
        """The page in RGB on white, in `size` (width, height in pixels); or a region of it, without
        the text that its layer has."""
        page = self._opened(number)[0] if region else self._document[number - 1]
        try:
            if region:
                found = page_objects.objects(page_objects.handle_of(page))
                page_objects.activate(found.texts, on=False)
            width, height = page.get_size()
            left, top, right, bottom = region or (0.0, 0.0, 1.0, 1.0)
            # The scale is that of the pixels wanted: a page may be of any size in points.
            scale = max(size[0] / (width * (right - left)), size[1] / (height * (bottom - top)))
            cut = (left * width, (1 - bottom) * height, (1 - right) * width, top * height)
            image: Image.Image = page.render(scale=scale, crop=cut, rev_byteorder=True).to_pil()
            return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        finally:
            page.close()

    def _opened(self, number: int) -> tuple[pdfium.PdfPage, bool, list[page_objects.Box]]:
        """The page with what its annotations draw as its own content, whether there is any, and
        the places of check boxes that are set."""
        page = self._document[number - 1]
        if not annotations.drawn(page):
            return page, False, []
        checked = annotations.checked(page, self._document.formenv)
        if not annotations.into_page(page):
            return page, False, checked
        page.close()
        return self._document[number - 1], True, checked


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
