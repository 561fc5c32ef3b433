"""Estimates the type of an image from its statistics and text boxes."""

from dataclasses import dataclass
from enum import Enum

from app.embedded.ocr.layout import Layout
from app.embedded.ocr.page import Page
from app.embedded.vision.image_stats import ImageStats

DECISION_MARGIN = 0.3  # minimum score difference of the first and the second type
SCREEN_RATIOS = (16 / 9, 16 / 10, 4 / 3, 9 / 16, 9 / 19.5)
TABLE_CELLS, TABLE_ROWS = 3, 3


class ImageType(Enum):
    """What kind of picture it is."""

    PHOTO = "photo"
    PAGE = "photo of a page"
    DOCUMENT = "document"
    SCREENSHOT = "screenshot"
    CHART = "chart or diagram"
    GRAPHIC = "graphic"
    BLANK = "single-coloured area"


@dataclass(frozen=True, slots=True)
class ImageTypeEstimate:
    """The most likely types: one, or two if the scores do not decide."""

    candidates: tuple[ImageType, ...]

    @property
    def may_show_objects(self) -> bool:
        """Whether object detection and classification make sense."""
        return bool({ImageType.PHOTO, ImageType.GRAPHIC} & set(self.candidates))


def estimate_image_type(stats: ImageStats, page: Page) -> ImageTypeEstimate:
    """Scores the types by flat areas, number of colours and text coverage."""
    if stats.colour_count <= 1 and not page.has_text:
        return ImageTypeEstimate((ImageType.BLANK,))
    lines = len(page.quads) if page.has_text else 0
    coverage = text_coverage(page) if lines else 0.0
    if _is_photo_like(stats):
        if coverage > 0.12 and lines > 3:
            return ImageTypeEstimate((ImageType.PAGE,))
        return ImageTypeEstimate((ImageType.PHOTO,))
    scores = {
        ImageType.DOCUMENT: _document_score(stats, lines, coverage),
        ImageType.SCREENSHOT: _screenshot_score(stats, lines, coverage),
        ImageType.CHART: _chart_score(stats, lines, coverage),
        ImageType.GRAPHIC: 1.0 + (1.0 if not lines else 0.0),
        ImageType.PHOTO: 1.5 - 4 * stats.flat_share + (0.5 if not lines else 0.0),
    }
    first, second, *_ = sorted(scores, key=lambda image_type: -scores[image_type])
    decided = scores[first] - scores[second] >= DECISION_MARGIN
    return ImageTypeEstimate((first,) if decided else (first, second))


def text_coverage(page: Page) -> float:
    """The share of the image that text boxes cover, 0 to 1."""
    height, width = page.image.shape[:2]
    area = 0.0
    for quad in page.quads:
        sides = quad[1:] - quad[:-1]
        area += float((sides[0] @ sides[0]) ** 0.5 * (sides[1] @ sides[1]) ** 0.5)
    return min(1.0, float(area / (height * width)))


def table_size(layout: Layout) -> tuple[int, int] | None:
    """Rows and columns of the largest block of rows with the same number of cells, or None."""
    best, run, cells = (0, 0), 0, 0
    for row in layout.rows:
        run = run + 1 if len(row) == cells else 1
        cells = len(row)
        if cells >= TABLE_CELLS and run >= TABLE_ROWS:
            best = max(best, (run, cells))
    return best if best[0] else None


def _is_photo_like(stats: ImageStats) -> bool:
    many = stats.colour_count > (25 if stats.is_grey else 120)
    return many and stats.top8_colour_share < 0.75 and stats.flat_share < 0.4


def _document_score(stats: ImageStats, lines: int, coverage: float) -> float:
    if not lines:
        return -1.0
    pale = stats.brightness > 0.75 and stats.saturation < 0.12
    return (
        1.0
        + (1.2 if pale else 0.0)
        + (1.0 if coverage > 0.12 else 0.0)
        + (0.5 if stats.top_colour_share > 0.5 else 0.0)
    )


def _screenshot_score(stats: ImageStats, lines: int, coverage: float) -> float:
    ratio = stats.width / stats.height
    return (
        (0.5 if lines else -0.5)
        + (0.8 if any(abs(ratio - screen) < 0.02 for screen in SCREEN_RATIOS) else 0.0)
        + (0.6 if coverage > 0.12 else 0.0)
        + (0.6 if lines >= 25 else 0.0)
        + (0.8 if stats.brightness < 0.35 and stats.flat_share > 0.5 else 0.0)
        + (0.5 if stats.saturation > 0.06 else 0.0)
    )


def _chart_score(stats: ImageStats, lines: int, coverage: float) -> float:
    few = 3 <= lines <= 40 and coverage < 0.1 and stats.flat_share > 0.5
    return (1.8 if few else 0.0) + (0.9 if few and stats.saturation > 0.03 else 0.0)
