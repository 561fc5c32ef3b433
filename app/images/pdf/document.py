"""Reads page sizes, text and pictures of a PDF with PDFium."""

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
from app.images.pdf.font_claims import FontState
from app.images.pdf.page_pictures import Shares
from app.images.shared_file import Buffer

POINTS_PER_INCH = 72
# A higher resolution shows no more detail: print is made for 150 to 300 dpi.
DPI = 200

# PDFium is not thread-safe (its documentation): one call at a time in the whole process.
_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Page:
    """One page as it is shown.

    number: from 1.
    width, height: in points (1/72 inch).
    text, notes, region, text_below: see `text_layer.TextLayer`.
    """

    number: int
    width: float
    height: float
    text: str | None
    notes: tuple[str, ...] = ()
    region: Shares | None = None
    text_below: str = ""


class Document:
    """An open PDF; valid only inside `open_pdf`."""

    def __init__(self, document: pdfium.PdfDocument) -> None:
        self._document = document
        self._fonts = FontState()

    def __len__(self) -> int:
        return len(self._document)

    def page(self, number: int, *, with_layer: bool = True) -> Page:
        """Return page `number`, from 1; `with_layer`: judge and read its text layer."""
        if not with_layer:
            width, height = self._document.get_page_size(number - 1)
            return Page(number, width, height, None)
        page, filled, checked = self._open_page(number)
        try:
            width, height = page.get_size()
            layer = text_layer.read_text_layer(page, self._fonts, filled=filled, checked=checked)
            return Page(
                number, width, height, layer.text, layer.notes, layer.region, layer.text_below
            )
        finally:
            page.close()

    def render(
        self, number: int, size: tuple[int, int], region: Shares | None = None
    ) -> Image.Image:
        """Render a page, or a region of it, in RGB on white.

        Args:
            number: of the page, from 1.
            size: width and height of the result in pixels.
            region: left, top, right and bottom as shares of the page's sides. The text of the
                text layer is left out of a region.
        """
        page = self._open_page(number)[0] if region else self._document[number - 1]
        try:
            if region:
                found = page_objects.list_objects(page_objects.handle_of(page))
                page_objects.set_active(found.texts, on=False)
            width, height = page.get_size()
            left, top, right, bottom = region or (0.0, 0.0, 1.0, 1.0)
            # The scale follows from the wanted pixels: a page may have any size in points.
            scale = max(size[0] / (width * (right - left)), size[1] / (height * (bottom - top)))
            cut = (left * width, (1 - bottom) * height, (1 - right) * width, top * height)
            image: Image.Image = page.render(scale=scale, crop=cut, rev_byteorder=True).to_pil()
            return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        finally:
            page.close()

    def _open_page(self, number: int) -> tuple[pdfium.PdfPage, bool, list[page_objects.Box]]:
        """Open a page and flatten its annotations.

        Returns:
            The page, whether annotations were flattened, and the boxes of checked check boxes.
        """
        page = self._document[number - 1]
        if not annotations.draws_text(page):
            return page, False, []
        checked = annotations.checked_boxes(page, self._document.formenv)
        if not annotations.flatten(page):
            return page, False, checked
        page.close()
        return self._document[number - 1], True, checked


@contextmanager
def open_pdf(data: Buffer, name: str) -> Iterator[Document]:
    """Open a PDF, for one thread at a time; `name` is for messages.

    Raises:
        UnreadableImage: the PDF is damaged, has no pages, or is protected by a password.
    """
    with _LOCK:
        try:
            document = pdfium.PdfDocument(_as_c(data))
        except pdfium.PdfiumError as error:
            why = str(error).lower()
            if "password" in why:
                raise UnreadableImage(
                    f"{name} is a PDF that is protected by a password. Remove the password."
                ) from None
            raise UnreadableImage(f"{name} is a damaged PDF ({error}).") from None
        try:
            if len(document) == 0:
                raise UnreadableImage(f"{name} is a PDF without pages.")
            document.init_forms()  # needed to draw filled form fields
            yield Document(document)
        except pdfium.PdfiumError as error:
            raise UnreadableImage(f"{name} is a damaged PDF ({error}).") from None
        finally:
            document.close()


def _as_c(data: Buffer) -> Any:
    """Return the buffer in a type that PDFium reads without a copy."""
    return data if isinstance(data, bytes) else (ctypes.c_ubyte * len(data)).from_buffer(data)
