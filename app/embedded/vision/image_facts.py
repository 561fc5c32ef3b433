"""Collects everything about an image except its text."""

import threading
from dataclasses import dataclass

from app.embedded.cancellation import raise_if_cancelled
from app.embedded.images.decode import Picture
from app.embedded.ocr.layout import arrange_rows
from app.embedded.ocr.models import OcrModels
from app.embedded.ocr.page import Page, orient_page
from app.embedded.vision.barcodes import Barcode, read_barcodes
from app.embedded.vision.colours import NamedColour, dominant_colours
from app.embedded.vision.image_stats import ImageStats, compute_stats
from app.embedded.vision.image_type import ImageTypeEstimate, estimate_image_type, table_size
from app.embedded.vision.models import Predictions, VisionModels


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Everything about an image except its text.

    `table_size`: rows and columns of the largest table that the text boxes form. `predictions` is
    empty unless `image_type.may_show_objects`, because the networks are trained on photos.
    """

    picture: Picture
    stats: ImageStats
    colours: tuple[NamedColour, ...]
    barcodes: tuple[Barcode, ...]
    page: Page
    image_type: ImageTypeEstimate
    table_size: tuple[int, int] | None
    predictions: Predictions


def gather_facts(
    picture: Picture, ocr_models: OcrModels, vision_models: VisionModels, cancelled: threading.Event
) -> ImageFacts:
    """Measures, decodes barcodes, detects text boxes and objects, and classifies.

    Raises:
        Cancelled: `cancelled` was set.
        WeightsError: weights of the detector or the classifier are missing or damaged.
    """
    image = picture.pixels
    stats = compute_stats(image)
    raise_if_cancelled(cancelled)
    barcodes = read_barcodes(image)
    page = orient_page(image, ocr_models, cancelled)
    image_type = estimate_image_type(stats, page)
    raise_if_cancelled(cancelled)
    return ImageFacts(
        picture,
        stats,
        dominant_colours(image),
        barcodes,
        page,
        image_type,
        table_size(arrange_rows(page.quads)) if page.has_text else None,
        vision_models.predict(image) if image_type.may_show_objects else Predictions(),
    )
