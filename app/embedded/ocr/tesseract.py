"""Tesseract with its Korean model, for lines with Hangul."""

import os
import threading
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from app.embedded.images.pixels import Pixels

LINE_HEIGHT = 40  # of the whole box; Tesseract is worse below 25 and above 60 pixels
MAX_LINE_WIDTH = 4000  # 100 line heights; longer lines are compressed, and fail from 32,768 on
MARGIN = 12


class TesseractUnavailable(Exception):
    """Tesseract cannot be used. The message gives the reason."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """One recognised character.

    `left` is its left edge as a share of the line's width. (Tesseract's right edges are often
    wrong.) `score` is that of its word, 0 to 1.
    """

    text: str
    left: float
    score: float


def is_hangul(char: str) -> bool:
    """Whether the character is a Hangul syllable or jamo."""
    return "가" <= char <= "힣" or "ㄱ" <= char <= "ㅣ"


class TesseractRecogniser:
    """One Tesseract instance with a lock. Thread-safe."""

    def __init__(self, tessdata: Path) -> None:
        """
        Args:
            tessdata: folder of `kor.traineddata`.

        Raises:
            TesseractUnavailable: the package tesserocr is not installed.
        """
        # Read when the library is loaded. One line is too little work for a second thread.
        os.environ.setdefault("OMP_THREAD_LIMIT", "1")
        try:
            # An optional package.
            import tesserocr  # type: ignore[import-untyped]  # noqa: PLC0415
        except ImportError as error:
            raise TesseractUnavailable("the package tesserocr is not installed") from error
        self._api = tesserocr.PyTessBaseAPI(
            path=str(tessdata), lang="kor", psm=tesserocr.PSM.SINGLE_LINE
        )
        self._lock = threading.Lock()

    def recognise(self, line: Pixels) -> list[Symbol]:
        """Recognises the image of one upright line."""
        gray, scaled_width = _preprocess(line)
        height, width = gray.shape
        with self._lock:
            self._api.SetImageBytes(gray.tobytes(), width, height, 1, width)
            self._api.Recognize()
            return self._symbols(scaled_width)

    def _symbols(self, width: int) -> list[Symbol]:
        from tesserocr import RIL, iterate_level  # noqa: PLC0415

        symbols: list[Symbol] = []
        for symbol in iterate_level(self._api.GetIterator(), RIL.SYMBOL):
            if symbol.Empty(RIL.SYMBOL):  # GetUTF8Text would raise
                continue
            text = symbol.GetUTF8Text(RIL.SYMBOL)
            box = symbol.BoundingBox(RIL.SYMBOL)
            if not text.strip() or box is None:
                continue
            # Tesseract returns some Latin letters in full width.
            text = unicodedata.normalize("NFKC", text)
            score = symbol.Confidence(RIL.WORD) / 100
            symbols.append(Symbol(text, (box[0] - MARGIN) / width, score))
        return symbols


def _preprocess(line: Pixels) -> tuple[NDArray[np.uint8], int]:
    """Converts a line to dark on light, `LINE_HEIGHT` high, with a margin.

    Returns the image and its width without the margin, in pixels.
    """
    gray = cv2.cvtColor(line, cv2.COLOR_BGR2GRAY)
    scale = LINE_HEIGHT / gray.shape[0]
    method = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    scaled_width = min(MAX_LINE_WIDTH, max(1, round(gray.shape[1] * scale)))
    gray = cv2.resize(gray, (scaled_width, LINE_HEIGHT), interpolation=method)
    if np.median(gray) < 110:
        gray = 255 - gray
    background = int(np.percentile(gray, 90))
    gray = cv2.copyMakeBorder(
        gray, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_CONSTANT, value=background
    )
    return np.ascontiguousarray(gray, dtype=np.uint8), scaled_width
