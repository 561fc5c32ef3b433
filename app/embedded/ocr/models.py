"""The OCR models: PP-OCR for every line, Tesseract for lines with Hangul."""

from dataclasses import dataclass

from app.embedded import weights
from app.embedded.ocr.ppocr import TextDetector, TextRecogniser
from app.embedded.ocr.tesseract import TesseractRecogniser, TesseractUnavailable


@dataclass(frozen=True, slots=True)
class OcrModels:
    """Without Tesseract, `tesseract` is None and `tesseract_error` gives the reason."""

    detector: TextDetector
    recogniser: TextRecogniser
    tesseract: TesseractRecogniser | None
    tesseract_error: str = ""


def load(threads: int) -> OcrModels:
    """Loads the models.

    Args:
        threads: number of threads of one inference.

    Raises:
        WeightsError: PP-OCR's weights are missing or damaged. (Tesseract is optional: without it,
            Hangul is not read and the answers say so.)
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
