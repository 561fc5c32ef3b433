"""The reader: a picture becomes lines of text, one after another."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from app.embedded.cancellation import check
from app.embedded.images.pixels import Pixels
from app.embedded.ocr.glyph_spacing import ink
from app.embedded.ocr.layout import Row, arrange
from app.embedded.ocr.line_merge import LineText, doubtful, merged, plain
from app.embedded.ocr.models import Readers
from app.embedded.ocr.page import Page, upright
from app.embedded.ocr.ppocr import Quad, cut

TIME_LIMIT_S = 60.0
MAX_BOXES = 600
# Beside a line that is surely text, a box is kept from this score on.
MIN_SCORE = 0.5
# Without one, the picture is a photo: stray letters on it have scores up to 0.9.
MIN_PHOTO_SCORE = 0.9
MIN_PHOTO_CHARS = 3
MAX_PHOTO_SHARE = 0.5
# On an even ground there is no texture to be taken for letters: a sign may have one or two.
MIN_SIGN_SCORE = 0.8
UNREADABLE = "[?]"


Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the page as it is written out; `box` is its left, top, right and bottom in
    pixels of the picture as it was given. `confidence` is that of its least sure box or digit."""

    text: str
    box: Box = field(default=(0.0, 0.0, 0.0, 0.0), compare=False)
    confidence: float = field(default=1.0, compare=False)


@dataclass(frozen=True, slots=True)
class Stopped:
    """The reading ended before the page did: after `seconds`, or at `boxes` boxes of text."""

    seconds: float | None = None
    boxes: int | None = None


@dataclass(frozen=True, slots=True)
class NoKorean:
    """Lines that may be Korean could not be read and are marked `[?]`."""

    reason: str


Found = Line | Stopped | NoKorean


def read(
    image: Pixels,
    readers: Readers,
    cancelled: threading.Event,
    *,
    time_limit_s: float = TIME_LIMIT_S,
    max_boxes: int = MAX_BOXES,
) -> Iterator[Found]:
    """The text of one picture, (height, width, 3) BGR; for the rest see `read_page`."""
    deadline = time.monotonic() + time_limit_s
    page = upright(image, readers, cancelled)
    left_s = deadline - time.monotonic()
    for found in read_page(page, readers, cancelled, time_limit_s=left_s, max_boxes=max_boxes):
        yield Stopped(seconds=time_limit_s) if found == Stopped(seconds=left_s) else found


def read_page(
    page: Page,
    readers: Readers,
    cancelled: threading.Event,
    *,
    time_limit_s: float = TIME_LIMIT_S,
    max_boxes: int = MAX_BOXES,
) -> Iterator[Found]:
    """The text of one page, each line as soon as it is read.

    Args:
        cancelled: set from elsewhere to end the work before the next box.

    Raises:
        Cancelled: it was set.
    """
    deadline = time.monotonic() + time_limit_s
    cut_short = len(page.quads) > max_boxes
    if cut_short:
        page = replace(page, quads=page.quads[:max_boxes])
    layout = arrange(page.quads)
    boxes = _Boxes(page, readers)
    for row in layout.rows:
        texts = []
        for cell in row:
            check(cancelled)
            if time.monotonic() > deadline:
                yield Stopped(seconds=time_limit_s)
                return
            texts.append(boxes.text(cell.index))
        said = [one.text for one in texts]
        if line := layout.line(row, said):
            sure = min(one.confidence for one in texts if one.text)
            yield Line(line, _around(page, row, said), sure)
    if cut_short:
        yield Stopped(boxes=max_boxes)
    if boxes.korean_missed:
        yield NoKorean(readers.hangul_missing)


def _around(page: Page, row: Row, texts: list[str]) -> Box:
    """What the cells of a row that hold text cover, in the picture as it was given."""
    quads = [page.quads[cell.index] for cell, text in zip(row, texts, strict=True) if text]
    corners = page.given(np.concatenate(quads))
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return left, top, right, bottom


class _Boxes:
    """Reads the boxes of one page, each by the readers that it needs."""

    def __init__(self, page: Page, readers: Readers) -> None:
        self._page = page
        self._readers = readers
        self.korean_missed = False

    def text(self, index: int) -> LineText:
        """What the box says; empty where it is not text."""
        quad = self._page.quads[index]
        line = self._read(_upright(cut(self._page.image, quad), self._readers))
        if self._page.legible:
            return line if line.score >= MIN_SCORE else LineText(_unreadable(quad), 0.0)
        if self._page.even:
            return line if line.score >= MIN_SIGN_SCORE else LineText("", 0.0)
        if (
            line.score < MIN_PHOTO_SCORE
            or len(line.text) < MIN_PHOTO_CHARS
            or _share(quad, self._page.image) > MAX_PHOTO_SHARE
        ):
            return LineText("", 0.0)
        return line

    def _read(self, line: Pixels) -> LineText:
        reading, written = self._readers.recogniser.read(line), ink(line)
        found = plain(reading, written)
        if not doubtful(reading, written):
            return found
        if self._readers.hangul is None:
            if not self._page.legible:
                return found
            self.korean_missed = True
            return LineText(f"{found.text} {UNREADABLE}".strip(), found.score)
        read = self._readers.recogniser.read
        symbols = self._readers.hangul.read(line)
        return merged(line, reading, symbols, written, read, space=self._page.space)


def _upright(line: Pixels, readers: Readers) -> Pixels:
    """A box that stands on its end is a narrow character, or a line turned by 90 degrees."""
    if line.shape[0] < 1.5 * line.shape[1]:
        return line
    turned = np.asarray(cv2.rotate(line, cv2.ROTATE_90_COUNTERCLOCKWISE), dtype=np.uint8)
    read = readers.recogniser.read
    return max((line, turned), key=lambda pixels: read(pixels).score)


def _unreadable(quad: Quad) -> str:
    """The mark for a box that cannot be read; none for one too small to be a word."""
    width, height = np.hypot(*(quad[1] - quad[0])), np.hypot(*(quad[3] - quad[0]))
    return UNREADABLE if width > 3 * height else ""


def _share(quad: Quad, image: Pixels) -> float:
    area = float(cv2.contourArea(quad.astype(np.float32)))
    return area / float(image.shape[0] * image.shape[1])
