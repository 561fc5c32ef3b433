"""Reads the text of an image, line by line."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from app.embedded.cancellation import raise_if_cancelled
from app.embedded.images.pixels import Pixels
from app.embedded.ocr.glyph_spacing import measure_spacing
from app.embedded.ocr.layout import Row, arrange_rows
from app.embedded.ocr.line_merge import LineText, merge_readings, needs_tesseract, restore_spaces
from app.embedded.ocr.models import OcrModels
from app.embedded.ocr.page import Page, orient_page
from app.embedded.ocr.ppocr import Quad, crop_line

TIME_LIMIT_S = 60.0
MAX_BOXES = 600
# Minimum score of a box on a page that certainly has text.
MIN_SCORE = 0.5
# On other images, texture is read as stray letters with scores up to 0.9.
MIN_PHOTO_SCORE = 0.9
MIN_PHOTO_CHARS = 3
MAX_PHOTO_SHARE = 0.5
# A uniform background has no texture, so that a sign of one or two letters is accepted.
MIN_SIGN_SCORE = 0.8
UNREADABLE = "[?]"


Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of text.

    `box` is left, top, right and bottom in pixels of the input image. `confidence` is the lowest
    of the line's boxes and digits, 0 to 1.
    """

    text: str
    box: Box = field(default=(0.0, 0.0, 0.0, 0.0), compare=False)
    confidence: float = field(default=1.0, compare=False)


@dataclass(frozen=True, slots=True)
class Truncated:
    """The rest of the page was not read: the limit of `seconds` or `boxes` was reached."""

    seconds: float | None = None
    boxes: int | None = None


@dataclass(frozen=True, slots=True)
class KoreanUnavailable:
    """Lines that may be Korean were not read and are marked `[?]`."""

    reason: str


ReadEvent = TextLine | Truncated | KoreanUnavailable


def read_image(
    image: Pixels,
    ocr_models: OcrModels,
    cancelled: threading.Event,
    *,
    time_limit_s: float = TIME_LIMIT_S,
    max_boxes: int = MAX_BOXES,
) -> Iterator[ReadEvent]:
    """Orients an image, (height, width, 3) BGR, and reads it. See `read_page`."""
    deadline = time.monotonic() + time_limit_s
    page = orient_page(image, ocr_models, cancelled)
    remaining_s = deadline - time.monotonic()
    for found in read_page(
        page, ocr_models, cancelled, time_limit_s=remaining_s, max_boxes=max_boxes
    ):
        yield Truncated(seconds=time_limit_s) if found == Truncated(seconds=remaining_s) else found


def read_page(
    page: Page,
    ocr_models: OcrModels,
    cancelled: threading.Event,
    *,
    time_limit_s: float = TIME_LIMIT_S,
    max_boxes: int = MAX_BOXES,
) -> Iterator[ReadEvent]:
    """Yields each line of a page as soon as it is read.

    Args:
        cancelled: ends the reading before the next box when set.

    Raises:
        Cancelled: `cancelled` was set.
    """
    deadline = time.monotonic() + time_limit_s
    truncated = len(page.quads) > max_boxes
    if truncated:
        page = replace(page, quads=page.quads[:max_boxes])
    layout = arrange_rows(page.quads)
    box_reader = _BoxReader(page, ocr_models)
    for row in layout.rows:
        texts = []
        for cell in row:
            raise_if_cancelled(cancelled)
            if time.monotonic() > deadline:
                yield Truncated(seconds=time_limit_s)
                return
            texts.append(box_reader.text(cell.index))
        cell_texts = [one.text for one in texts]
        if line := layout.render_row(row, cell_texts):
            confidence = min(one.confidence for one in texts if one.text)
            yield TextLine(line, _bounding_box(page, row, cell_texts), confidence)
    if truncated:
        yield Truncated(boxes=max_boxes)
    if box_reader.korean_missed:
        yield KoreanUnavailable(ocr_models.tesseract_error)


def _bounding_box(page: Page, row: Row, texts: list[str]) -> Box:
    """The bounding box of the cells with text, in pixels of the input image."""
    quads = [page.quads[cell.index] for cell, text in zip(row, texts, strict=True) if text]
    corners = page.to_input(np.concatenate(quads))
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return left, top, right, bottom


class _BoxReader:
    """Reads the boxes of one page with PP-OCR, and with Tesseract where it is needed."""

    def __init__(self, page: Page, ocr_models: OcrModels) -> None:
        self._page = page
        self._models = ocr_models
        self.korean_missed = False

    def text(self, index: int) -> LineText:
        """The text of a box. Empty if the box is not text."""
        quad = self._page.quads[index]
        line = self._read(_turn_upright(crop_line(self._page.image, quad), self._models))
        if self._page.has_text:
            return line if line.score >= MIN_SCORE else LineText(_placeholder(quad), 0.0)
        if self._page.uniform_background:
            return line if line.score >= MIN_SIGN_SCORE else LineText("", 0.0)
        if (
            line.score < MIN_PHOTO_SCORE
            or len(line.text) < MIN_PHOTO_CHARS
            or _area_share(quad, self._page.image) > MAX_PHOTO_SHARE
        ):
            return LineText("", 0.0)
        return line

    def _read(self, line: Pixels) -> LineText:
        reading, spacing = self._models.recogniser.recognise(line), measure_spacing(line)
        found = restore_spaces(reading, spacing)
        if not needs_tesseract(reading, spacing):
            return found
        if self._models.tesseract is None:
            if not self._page.has_text:
                return found
            self.korean_missed = True
            return LineText(f"{found.text} {UNREADABLE}".strip(), found.score)
        recognise = self._models.recogniser.recognise
        symbols = self._models.tesseract.recognise(line)
        return merge_readings(
            line, reading, symbols, spacing, recognise, space_threshold=self._page.space_threshold
        )


def _turn_upright(line: Pixels, ocr_models: OcrModels) -> Pixels:
    """Rotates a box that is higher than wide if it reads better: it may be a narrow character."""
    if line.shape[0] < 1.5 * line.shape[1]:
        return line
    turned = np.asarray(cv2.rotate(line, cv2.ROTATE_90_COUNTERCLOCKWISE), dtype=np.uint8)
    recognise = ocr_models.recogniser.recognise
    return max((line, turned), key=lambda pixels: recognise(pixels).score)


def _placeholder(quad: Quad) -> str:
    """`[?]` for a box that cannot be read. Empty for a box that is too small for a word."""
    width, height = np.hypot(*(quad[1] - quad[0])), np.hypot(*(quad[3] - quad[0]))
    return UNREADABLE if width > 3 * height else ""


def _area_share(quad: Quad, image: Pixels) -> float:
    area = float(cv2.contourArea(quad.astype(np.float32)))
    return area / float(image.shape[0] * image.shape[1])
