"""What kind of picture it is, as far as measures tell."""

from dataclasses import dataclass
from enum import Enum

from app.embedded.ocr.layout import Layout
from app.embedded.ocr.page import Page
from app.embedded.vision.image_stats import Measures

DECIDED = 0.3  # points between the first kind and the second
SCREENS = (16 / 9, 16 / 10, 4 / 3, 9 / 16, 9 / 19.5)
TABLE_CELLS, TABLE_ROWS = 3, 3


class Kind(Enum):
    PHOTO = "photo"
    PAGE = "photo of a page"
    DOCUMENT = "document"
    SCREENSHOT = "screenshot"
    CHART = "chart or diagram"
    GRAPHIC = "graphic"
    BLANK = "single-coloured area"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The likeliest kinds: one where the measures decide, two where they do not."""

    kinds: tuple[Kind, ...]

    @property
    def photographic(self) -> bool:
        return bool({Kind.PHOTO, Kind.GRAPHIC} & set(self.kinds))


def kind(measures: Measures, page: Page) -> Verdict:
    """Judge by flat areas, the number of colours, and how much of it is text."""
    if measures.colours <= 1 and not page.legible:
        return Verdict((Kind.BLANK,))
    lines = len(page.quads) if page.legible else 0
    covered = text_share(page) if lines else 0.0
    if _natural(measures):
        if covered > 0.12 and lines > 3:
            return Verdict((Kind.PAGE,))
        return Verdict((Kind.PHOTO,))
    points = {
        Kind.DOCUMENT: _document(measures, lines, covered),
        Kind.SCREENSHOT: _screenshot(measures, lines, covered),
        Kind.CHART: _chart(measures, lines, covered),
        Kind.GRAPHIC: 1.0 + (1.0 if not lines else 0.0),
        Kind.PHOTO: 1.5 - 4 * measures.flat + (0.5 if not lines else 0.0),
    }
    first, second, *_ = sorted(points, key=lambda kind: -points[kind])
    decided = points[first] - points[second] >= DECIDED
    return Verdict((first,) if decided else (first, second))


def text_share(page: Page) -> float:
    """How much of the picture its lines of text cover, of 1."""
    height, width = page.image.shape[:2]
    area = 0.0
    for quad in page.quads:
        sides = quad[1:] - quad[:-1]
        area += float((sides[0] @ sides[0]) ** 0.5 * (sides[1] @ sides[1]) ** 0.5)
    return min(1.0, float(area / (height * width)))


def table(layout: Layout) -> tuple[int, int] | None:
    """Rows and columns of the largest block of rows with as many cells; None for no table."""
    best, run, cells = (0, 0), 0, 0
    for row in layout.rows:
        run = run + 1 if len(row) == cells else 1
        cells = len(row)
        if cells >= TABLE_CELLS and run >= TABLE_ROWS:
            best = max(best, (run, cells))
    return best if best[0] else None


def _natural(measures: Measures) -> bool:
    many = measures.colours > (25 if measures.grey else 120)
    return many and measures.eight < 0.75 and measures.flat < 0.4


def _document(measures: Measures, lines: int, covered: float) -> float:
    if not lines:
        return -1.0
    pale = measures.brightness > 0.75 and measures.saturation < 0.12
    return (
        1.0
        + (1.2 if pale else 0.0)
        + (1.0 if covered > 0.12 else 0.0)
        + (0.5 if measures.ground > 0.5 else 0.0)
    )


def _screenshot(measures: Measures, lines: int, covered: float) -> float:
    ratio = measures.width / measures.height
    return (
        (0.5 if lines else -0.5)
        + (0.8 if any(abs(ratio - screen) < 0.02 for screen in SCREENS) else 0.0)
        + (0.6 if covered > 0.12 else 0.0)
        + (0.6 if lines >= 25 else 0.0)
        + (0.8 if measures.brightness < 0.35 and measures.flat > 0.5 else 0.0)
        + (0.5 if measures.saturation > 0.06 else 0.0)
    )


def _chart(measures: Measures, lines: int, covered: float) -> float:
    few = 3 <= lines <= 40 and covered < 0.1 and measures.flat > 0.5
    return (1.8 if few else 0.0) + (0.9 if few and measures.saturation > 0.03 else 0.0)
