"""Everything that is in memory while the model is loaded."""

from dataclasses import dataclass, field

from app.embedded.content_cache import ContentCache
from app.embedded.ocr import models as ocr_models
from app.embedded.ocr.models import OcrModels
from app.embedded.vision.models import VisionModels


@dataclass(frozen=True, slots=True)
class Models:
    """The models, and the content of the last image."""

    ocr: OcrModels
    vision: VisionModels
    content_cache: ContentCache = field(default_factory=ContentCache)


def load(threads: int) -> Models:
    """Loads the OCR models. The vision models are loaded at their first use.

    Args:
        threads: number of threads of one inference.

    Raises:
        WeightsError: PP-OCR's weights are missing or damaged.
    """
    return Models(ocr_models.load(threads), VisionModels(threads))
