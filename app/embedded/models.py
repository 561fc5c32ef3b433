"""What is in memory while the model is loaded."""

from dataclasses import dataclass, field

from app.embedded.answers.facts_cache import Memory
from app.embedded.ocr import models as ocr
from app.embedded.ocr.models import Readers
from app.embedded.vision.models import Sight


@dataclass(frozen=True, slots=True)
class Models:
    """What reads, what sees, and what is still known of the last picture."""

    readers: Readers
    sight: Sight
    memory: Memory = field(default_factory=Memory)


def load(threads: int) -> Models:
    """Load what reads; what sees is loaded when it is first needed.

    Args:
        threads: of one inference.

    Raises:
        WeightsError: PP-OCR's weights are missing or damaged.
    """
    return Models(ocr.load(threads), Sight(threads))
