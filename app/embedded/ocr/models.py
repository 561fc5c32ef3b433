"""The models that read: PP-OCR for every line, Tesseract for the lines that hold Hangul."""

from dataclasses import dataclass

from app.embedded import weights
from app.embedded.ocr.ppocr import TextDetector, TextRecogniser
from app.embedded.ocr.tesseract import TesseractRecogniser, TesseractUnavailable


@dataclass(frozen=True, slots=True)
class OcrModels:
    """The loaded models. Without Korean, `hangul` is None and `hangul_missing` says why."""

    detector: TextDetector
    recogniser: TextRecogniser
    tesseract: TesseractRecogniser | None
    tesseract_error: str = ""


def load(threads: int) -> OcrModels:
    """Load the models.

    Args:
        threads: of one inference.

    Raises:
        WeightsError: PP-OCR's weights are missing or damaged. (Those of Tesseract are not
            needed: without them Korean is missing, and every reading says so.)
    """
    paths = weights.ppocr_paths()
    tesseract, reason = None, ""
    try:
        tesseract = TesseractRecogniser(weights.tessdata_folder())
    except (TesseractUnavailable, weights.WeightsError) as error:
        reason = str(error)
    return OcrModels(
        TextDetector(paths, threads), TextRecogniser(paths, threads), tesseract, reason
    )
