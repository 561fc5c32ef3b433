"""Finds the text lines of an image and turns it upright."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from app.embedded.cancellation import raise_if_cancelled
from app.embedded.images.pixels import Pixels
from app.embedded.ocr.glyph_spacing import measure_spacing, page_space_threshold
from app.embedded.ocr.line_merge import hangul_gaps
from app.embedded.ocr.models import OcrModels
from app.embedded.ocr.ppocr import Quad, crop_line
from app.embedded.ocr.tesseract import is_hangul

PROBE_LINES = 6  # the longest lines are read to decide about the page
# Mean scores. Lines that are upside down have 0.3 to 0.7.
CONFIDENT = 0.9
MIN_IMPROVEMENT = 0.1
CONFIDENT_SIGN = 0.95  # of a single line
BACKGROUND_SIDE = 64  # pixels of the reduced image that is searched for a background
BACKGROUND_STEP, BACKGROUND_SHARE = 16, 0.6  # largest difference of a channel; share of the pixels


@dataclass(frozen=True, slots=True)
class Page:
    """An upright image and its text boxes.

    `rotation`: degrees clockwise by which the input was turned. `has_text`: at least one line is
    certainly text; otherwise the boxes may be texture. `space_threshold`: the smallest gap that is
    a space between Hangul, in ink heights; None if there was too little Hangul.
    `uniform_background`: most of the image has one colour, as on a sign or a screen.
    """

    image: Pixels
    quads: tuple[Quad, ...]
    rotation: int
    has_text: bool
    space_threshold: float | None = None
    uniform_background: bool = False

    def to_input(self, points: Quad) -> Quad:
        """Maps points, (n, 2) of x and y, to the image before its rotation."""
        height, width = self.image.shape[:2]
        x, y = points[:, 0], points[:, 1]
        match self.rotation:
            case 90:
                return np.stack([y, width - x], axis=1)
            case 180:
                return np.stack([width - x, height - y], axis=1)
            case 270:
                return np.stack([height - y, x], axis=1)
        return points


def orient_page(image: Pixels, ocr_models: OcrModels, cancelled: threading.Event) -> Page:
    """Detects text lines, and rotates the image by 90, 180 or 270 degrees if needed.

    Raises:
        Cancelled: `cancelled` was set.
    """
    raise_if_cancelled(cancelled)
    quads, rotation = ocr_models.detector.detect(image), 0
    if _is_sideways(quads):
        image, rotation = _rotate(image, cv2.ROTATE_90_CLOCKWISE), 90
        raise_if_cancelled(cancelled)
        quads = ocr_models.detector.detect(image)
    lines = [
        crop_line(image, quad) for quad in sorted(quads, key=_length, reverse=True)[:PROBE_LINES]
    ]
    probes = [_probe(line, ocr_models, cancelled) for line in lines]
    if lines and _mean(probes) < CONFIDENT:
        turned = (_rotate(line, cv2.ROTATE_180) for line in lines)
        flipped = [_probe(line, ocr_models, cancelled) for line in turned]
        # A sign of one or two characters that is read with confidence is upright.
        confident = len(lines) == 1 and probes[0].score >= CONFIDENT_SIGN
        if not confident and _mean(flipped) > _mean(probes) + MIN_IMPROVEMENT:
            image, rotation = _rotate(image, cv2.ROTATE_180), rotation + 180
            # Detected again, because order and corners of the boxes depend on the rotation.
            quads, probes = ocr_models.detector.detect(image), flipped
    space_threshold = page_space_threshold([gap for probe in probes for gap in probe.gaps])
    has_text = any(probe.confidence > 0.85 for probe in probes)
    return Page(
        image, tuple(quads), rotation, has_text, space_threshold, _has_uniform_background(image)
    )


@dataclass(frozen=True, slots=True)
class _Probe:
    """`confidence` of the better reader, 0 to 1, halved for short lines; `score` is not halved.

    `gaps` are those between Hangul syllables, in ink heights.
    """

    confidence: float
    gaps: tuple[float, ...] = ()
    score: float = 0.0


def _mean(probes: Sequence[_Probe]) -> float:
    return sum(probe.confidence for probe in probes) / len(probes)


def _probe(line: Pixels, ocr_models: OcrModels, cancelled: threading.Event) -> _Probe:
    """Reads a line. The confidence is halved for fewer than four characters."""
    raise_if_cancelled(cancelled)
    reading = ocr_models.recogniser.recognise(line)
    confidence = reading.score if len(reading.text) > 3 else reading.score / 2
    if confidence >= CONFIDENT or ocr_models.tesseract is None:
        return _Probe(confidence, score=reading.score)
    symbols = ocr_models.tesseract.recognise(line)
    hangul = [symbol.score for symbol in symbols if is_hangul(symbol.text[0])]
    if len(hangul) < 2 or len(hangul) <= 0.12 * len(symbols):
        return _Probe(confidence, score=reading.score)
    gaps = tuple(hangul_gaps(symbols, measure_spacing(line)))
    hangul_confidence = max(confidence, sum(hangul) / len(hangul))
    return _Probe(hangul_confidence, gaps, max(reading.score, hangul_confidence))


def _has_uniform_background(image: Pixels) -> bool:
    """Whether one colour, within a coarse step, fills most of the image."""
    small = cv2.resize(image, (BACKGROUND_SIDE, BACKGROUND_SIDE), interpolation=cv2.INTER_NEAREST)
    background = np.median(small.reshape(-1, 3), axis=0)
    near = np.abs(small.astype(np.int16) - background).max(axis=2) < BACKGROUND_STEP
    return bool(near.mean() >= BACKGROUND_SHARE)


def _is_sideways(quads: Sequence[Quad]) -> bool:
    """Whether most of the text, by length, runs vertically."""
    tall = [_length(quad) for quad in quads if _height(quad) > 1.5 * _width(quad)]
    return sum(tall) > 0.6 * sum(map(_length, quads))


def _rotate(image: Pixels, rotate_code: int) -> Pixels:
    return np.asarray(cv2.rotate(image, rotate_code), dtype=np.uint8)


def _width(quad: Quad) -> float:
    return float(np.hypot(*(quad[1] - quad[0])))


def _height(quad: Quad) -> float:
    return float(np.hypot(*(quad[3] - quad[0])))


def _length(quad: Quad) -> float:
    return max(_width(quad), _height(quad))
