"""A page the right way up: how far it was turned, where its lines are, whether it is one."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from app.embedded.cancellation import check
from app.embedded.images.pixels import Pixels
from app.embedded.ocr.glyph_spacing import ink, page_space
from app.embedded.ocr.line_merge import hangul_gaps
from app.embedded.ocr.models import Readers
from app.embedded.ocr.ppocr import Quad, cut
from app.embedded.ocr.tesseract import is_hangul

PROBED = 6  # the longest lines stand for the page
# Shares of a line's characters read; upside down, lines come to 0.3 to 0.7.
CERTAIN = 0.9
CLEARLY_BETTER = 0.1


@dataclass(frozen=True, slots=True)
class Page:
    """`turn`: degrees clockwise that were needed to set it upright. `legible`: some line on it
    is text beyond doubt; where none is, what the detector found may be texture. `space`: the
    least gap that is a space between Hangul, in heights of the ink; None where too little of it
    was seen. `even`: most of it is of one colour, as a sign or a screen is and a photo is not."""

    image: Pixels
    quads: tuple[Quad, ...]
    turn: int
    legible: bool
    space: float | None = None
    even: bool = False

    def given(self, points: Quad) -> Quad:
        """Points, (n, 2) of x and y, on the page before it was turned."""
        height, width = self.image.shape[:2]
        x, y = points[:, 0], points[:, 1]
        match self.turn:
            case 90:
                return np.stack([y, width - x], axis=1)
            case 180:
                return np.stack([width - x, height - y], axis=1)
            case 270:
                return np.stack([height - y, x], axis=1)
        return points


def upright(image: Pixels, readers: Readers, cancelled: threading.Event) -> Page:
    """Find the lines, turning the page by 90, 180 or 270 degrees where it needs it.

    Raises:
        Cancelled: `cancelled` was set.
    """
    check(cancelled)
    quads, turn = readers.detector.find(image), 0
    if _sideways(quads):
        image, turn = _rotated(image, cv2.ROTATE_90_CLOCKWISE), 90
        check(cancelled)
        quads = readers.detector.find(image)
    lines = [cut(image, quad) for quad in sorted(quads, key=_length, reverse=True)[:PROBED]]
    probes = [_probe(line, readers, cancelled) for line in lines]
    if lines and _mean(probes) < CERTAIN:
        turned = (_rotated(line, cv2.ROTATE_180) for line in lines)
        over = [_probe(line, readers, cancelled) for line in turned]
        # A sign of one or two characters that is read for sure stands as it should.
        surely = len(lines) == 1 and probes[0].score >= SURELY
        if not surely and _mean(over) > _mean(probes) + CLEARLY_BETTER:
            image, turn = _rotated(image, cv2.ROTATE_180), turn + 180
            # The lines must be found anew: their order and their corners are those of the page.
            quads, probes = readers.detector.find(image), over
    space = page_space([gap for probe in probes for gap in probe.gaps])
    legible = any(probe.certainty > 0.85 for probe in probes)
    return Page(image, tuple(quads), turn, legible, space, _even(image))


@dataclass(frozen=True, slots=True)
class _Probe:
    """How sure the better reader is of a line, 0 to 1, and its gaps between Hangul. `score`: the
    same where it is short, too."""

    certainty: float
    gaps: tuple[float, ...] = ()
    score: float = 0.0


def _mean(probes: Sequence[_Probe]) -> float:
    return sum(probe.certainty for probe in probes) / len(probes)


def _probe(line: Pixels, readers: Readers, cancelled: threading.Event) -> _Probe:
    """Read a line; its certainty is half for less than four characters."""
    check(cancelled)
    reading = readers.recogniser.read(line)
    best = reading.score if len(reading.text) > 3 else reading.score / 2
    if best >= CERTAIN or readers.hangul is None:
        return _Probe(best, score=reading.score)
    symbols = readers.hangul.read(line)
    hangul = [symbol.score for symbol in symbols if is_hangul(symbol.text[0])]
    if len(hangul) < 2 or len(hangul) <= 0.12 * len(symbols):
        return _Probe(best, score=reading.score)
    gaps = tuple(hangul_gaps(symbols, ink(line)))
    sure = max(best, sum(hangul) / len(hangul))
    return _Probe(sure, gaps, max(reading.score, sure))


EVEN_SIDE, EVEN_STEP, EVEN_SHARE = 64, 16, 0.6
SURELY = 0.95


def _even(image: Pixels) -> bool:
    """Whether one colour, in coarse steps, has most of the picture."""
    small = cv2.resize(image, (EVEN_SIDE, EVEN_SIDE), interpolation=cv2.INTER_NEAREST)
    ground = np.median(small.reshape(-1, 3), axis=0)
    near = np.abs(small.astype(np.int16) - ground).max(axis=2) < EVEN_STEP
    return bool(near.mean() >= EVEN_SHARE)


def _sideways(quads: Sequence[Quad]) -> bool:
    """Whether most of the text's length stands upright."""
    tall = [_length(quad) for quad in quads if _height(quad) > 1.5 * _width(quad)]
    return sum(tall) > 0.6 * sum(map(_length, quads))


def _rotated(image: Pixels, how: int) -> Pixels:
    return np.asarray(cv2.rotate(image, how), dtype=np.uint8)


def _width(quad: Quad) -> float:
    return float(np.hypot(*(quad[1] - quad[0])))


def _height(quad: Quad) -> float:
    return float(np.hypot(*(quad[3] - quad[0])))


def _length(quad: Quad) -> float:
    return max(_width(quad), _height(quad))
