"""The models that read: PP-OCR for every line, Tesseract for the lines that hold Hangul."""

from dataclasses import dataclass

from app.embedded import weights
from app.embedded.ocr.ppocr import Detector, Recogniser
from app.embedded.ocr.tesseract import HangulMissing, HangulReader


@dataclass(frozen=True, slots=True)
class Readers:
    """The loaded models. Without Korean, `hangul` is None and `hangul_missing` says why."""

    detector: Detector
    recogniser: Recogniser
    hangul: HangulReader | None
    hangul_missing: str = ""


def load(threads: int) -> Readers:
    """Load the models.

    Args:
        threads: of one inference.

    Raises:
        WeightsError: PP-OCR's weights are missing or damaged. (Those of Tesseract are not
            needed: without them Korean is missing, and every reading says so.)
    """
    models = weights.ppocr()
    hangul, reason = None, ""
    try:
        hangul = HangulReader(weights.tessdata())
    except (HangulMissing, weights.WeightsError) as error:
        reason = str(error)
    return Readers(Detector(models, threads), Recogniser(models, threads), hangul, reason)
