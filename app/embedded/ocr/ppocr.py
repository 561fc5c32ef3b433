"""PP-OCRv6 small: detects text lines in an image and recognises one line.

The detector runs in rapidocr, for its post-processing. The recogniser runs on onnxruntime
directly, because rapidocr does not return the position and score of each character. PP-OCRv6 does
not know Hangul: none of the 18,708 characters in the metadata of its weights.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.embedded.images.pixels import Pixels
from app.embedded.onnx_session import open_session
from app.embedded.weights import PpocrPaths

Quad = NDArray[np.float64]  # (4, 2): x, y of top left, top right, bottom right, bottom left

LINE_HEIGHT = 48  # of the recogniser's input
MIN_LINE_WIDTH = 320  # narrower lines are padded to it, as in training
MAX_LINE_WIDTH = 3200  # 67 line heights; longer lines are compressed
# Small images are enlarged to this shorter side for the detector (PaddleOCR's default), but to at
# most this many pixels: a 2000 x 60 banner would become 24,000 pixels wide.
DETECT_SHORT_SIDE = 736
DETECT_PIXELS = 1_600_000
# Longer images are padded: rapidocr enlarges a 500 x 2 pixel line to 138 megapixels.
MAX_ASPECT = 6
BACKGROUND_SAMPLE_PIXELS = 1_000_000  # enough to estimate the background colour


@dataclass(frozen=True, slots=True)
class Char:
    """One recognised character. `x` is its centre as a share of the line's width."""

    text: str
    x: float
    score: float


@dataclass(frozen=True, slots=True)
class Recognition:
    """One recognised line. `score` is the mean score of its characters, 0 to 1."""

    chars: tuple[Char, ...]

    @property
    def text(self) -> str:
        return "".join(char.text for char in self.chars).strip()

    @property
    def score(self) -> float:
        return sum(char.score for char in self.chars) / len(self.chars) if self.chars else 0.0


class TextDetector:
    """Detects lines of text. Thread-safe."""

    def __init__(self, paths: PpocrPaths, threads: int) -> None:
        # The import takes most of a second.
        from rapidocr import RapidOCR  # noqa: PLC0415

        # All options are set here, because options of a call change shared state.
        self._rapid = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,  # flips 30-50 % of upright Hangul lines
                "Global.use_rec": False,
                "Global.max_side_len": 10**6,  # detect() chooses the size
                "Det.model_path": str(paths.detector),
                "Det.limit_type": "max",
                "Det.limit_side_len": 10**6,
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.enable_cpu_mem_arena": False,  # the arena takes 1 GB
            }
        )

    def detect(self, image: Pixels) -> list[Quad]:
        """The corners of the text lines in pixels of `image`, from top to bottom."""
        image, left, top = _pad_to_aspect(image)
        height, width = image.shape[:2]
        scale = max(1.0, DETECT_SHORT_SIDE / min(height, width))
        scale = min(scale, (DETECT_PIXELS / (height * width)) ** 0.5)
        size = max(32, round(width * scale)), max(32, round(height * scale))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        found: Any = self._rapid(cv2.resize(image, size, interpolation=method))
        boxes = getattr(found, "boxes", None)
        if boxes is None:
            return []
        ratio = np.array([width / size[0], height / size[1]])
        return [np.asarray(box, dtype=np.float64) * ratio - (left, top) for box in boxes]


class TextRecogniser:
    """Recognises one line of text. Thread-safe."""

    def __init__(self, paths: PpocrPaths, threads: int) -> None:
        self._session = open_session(paths.recogniser, threads)
        self._input = self._session.get_inputs()[0].name
        metadata = self._session.get_modelmeta().custom_metadata_map
        # CTC: index 0 is the blank, the last index is the space.
        self._alphabet = ["", *metadata["character"].splitlines(), " "]

    def recognise(self, line: Pixels) -> Recognition:
        """Recognises the image of one upright line."""
        height, width = line.shape[:2]
        scaled_width = min(MAX_LINE_WIDTH, max(1, round(LINE_HEIGHT * width / height)))
        shrunk = cv2.resize(line, (scaled_width, LINE_HEIGHT))
        padded = np.zeros((1, 3, LINE_HEIGHT, max(scaled_width, MIN_LINE_WIDTH)), dtype=np.float32)
        padded[0, :, :, :scaled_width] = shrunk.transpose(2, 0, 1).astype(np.float32) / 127.5 - 1
        (probabilities,) = self._session.run(None, {self._input: padded})
        return self._decode(np.asarray(probabilities)[0], scaled_width / padded.shape[3])

    def _decode(self, probabilities: NDArray[np.float32], share: float) -> Recognition:
        """`probabilities`: (steps, characters). The line fills the first `share` of the steps."""
        best = probabilities.argmax(axis=1)
        steps = len(best) * share
        chars = []
        for step, index in enumerate(best):
            if index and (step == 0 or index != best[step - 1]):
                score = float(probabilities[step, index])
                chars.append(Char(self._alphabet[index], (step + 0.5) / steps, score))
        return Recognition(tuple(chars))


def crop_line(image: Pixels, quad: Quad) -> Pixels:
    """Cuts the quadrilateral out and warps it to a rectangle."""
    top, right, bottom, left = (np.linalg.norm(quad[i] - quad[(i + 1) % 4]) for i in range(4))
    width, height = max(2, round(max(top, bottom))), max(2, round(max(left, right)))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(quad.astype(np.float32), target)
    flat = cv2.warpPerspective(
        image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(flat, dtype=np.uint8)


def _pad_to_aspect(image: Pixels) -> tuple[Pixels, int, int]:
    """Pads the image with its background colour to an aspect ratio of at most `MAX_ASPECT`.

    Returns the image and the padding at its left and top, in pixels.
    """
    height, width = image.shape[:2]
    left = max(0, -(-height // MAX_ASPECT) - width + 1) // 2
    top = max(0, -(-width // MAX_ASPECT) - height + 1) // 2
    if not left and not top:
        return image, 0, 0
    step = math.isqrt(height * width // BACKGROUND_SAMPLE_PIXELS) + 1
    background = [float(shade) for shade in np.median(image[::step, ::step], axis=(0, 1))]
    padded = cv2.copyMakeBorder(image, top, top, left, left, cv2.BORDER_CONSTANT, value=background)
    return np.asarray(padded, dtype=np.uint8), left, top
