"""All that is known of a picture before its text is read."""

import threading
from dataclasses import dataclass

from app.embedded.cancellation import check
from app.embedded.images.decode import Picture
from app.embedded.ocr.layout import arrange
from app.embedded.ocr.models import Readers
from app.embedded.ocr.page import Page, upright
from app.embedded.vision import image_type as kind
from app.embedded.vision.barcodes import Code, codes
from app.embedded.vision.colours import Colour, colours
from app.embedded.vision.image_stats import Measures, measure
from app.embedded.vision.models import Seen, Sight


@dataclass(frozen=True, slots=True)
class Facts:
    """`table`: rows and columns of the largest one that the text forms. `seen` is empty where
    `verdict` says that the picture is none of things: the networks know photos alone."""

    picture: Picture
    measures: Measures
    colours: tuple[Colour, ...]
    codes: tuple[Code, ...]
    page: Page
    verdict: kind.Verdict
    table: tuple[int, int] | None
    seen: Seen


def gather(picture: Picture, readers: Readers, sight: Sight, cancelled: threading.Event) -> Facts:
    """Measure, decode, find lines of text, detect and classify.

    Raises:
        Cancelled: `cancelled` was set.
        WeightsError: the detector's or the classifier's weights are missing or damaged.
    """
    image = picture.pixels
    measures = measure(image)
    check(cancelled)
    found = codes(image)
    page = upright(image, readers, cancelled)
    verdict = kind.kind(measures, page)
    check(cancelled)
    return Facts(
        picture,
        measures,
        colours(image),
        found,
        page,
        verdict,
        kind.table(arrange(page.quads)) if page.legible else None,
        sight.look(image) if verdict.photographic else Seen(),
    )
