"""What a file holds, from its header alone: no pixel is decoded before the limits were checked."""

import io
from dataclasses import dataclass

from PIL import Image, ImageFile

from app.errors import ImageTooLarge
from app.images import formats, pdf
from app.images.damage import reading
from app.images.pages import selected
from app.images.plain import plain_size

MAX_SIDE = 16_384
MAX_ASPECT = 100  # the model's own limit is 200 (ollama v0.12.7 panics beyond)
ORIENTATION = 0x0112
LYING = (5, 6, 7, 8)  # EXIF orientations of a picture that lies on its side

Image.MAX_IMAGE_PIXELS = None  # the limit is checked here, from the header
ImageFile.LOAD_TRUNCATED_IMAGES = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may be."""

    max_megapixels: float
    max_pages: int = 50


@dataclass(frozen=True, slots=True)
class Picture:
    """One thing to be seen: an image, or a page of a document.

    index: of its file in the request, from 0.
    page: from 1; None for an image that is no document.
    width, height: of the upright original: pixels, or points (1/72 inch) for a page of a PDF.
    plain: it can be sent as it is (see `images.plain`).
    scale: pixels worth sending a unit of these.
    text: the page's own, where it carries one that serves.
    region, below: where only a part of the page must be read, that part as shares of its sides
        (left, top, right, bottom), and the page's own text that comes after it.
    """

    data: bytes
    index: int
    page: int | None
    width: int
    height: int
    warnings: tuple[str, ...] = ()
    text: str | None = None
    scale: float = 1.0
    plain: bool = False
    region: tuple[float, float, float, float] | None = None
    below: str = ""

    def sent_as_it_is(self, size: tuple[int, int]) -> bool:
        """Whether the file itself is the picture in that size."""
        return self.plain and size == (self.width, self.height)

    @property
    def name(self) -> str:
        """For messages."""
        return f"image[{self.index}]" + (f" page {self.page}" if self.page else "")

    @property
    def natural(self) -> tuple[int, int]:
        """The size, in pixels, beyond which nothing more is to be seen."""
        left, top, right, bottom = self.region or (0.0, 0.0, 1.0, 1.0)
        width, height = self.width * (right - left), self.height * (bottom - top)
        return max(1, round(width * self.scale)), max(1, round(height * self.scale))


def probe(data: bytes, index: int, limits: Limits, pages: str | None = None) -> tuple[Picture, ...]:
    """The pictures in a file: one, or the pages of a document (those that `pages` selects).

    Raises:
        UnsupportedImage: no format that is taken here.
        ImageTooLarge: more pixels, a longer side or more pages than allowed.
        UnreadableImage: the header is damaged.
        InvalidParameter, PageOutOfRange: see `images.pages`.
    """
    name = f"image[{index}]"
    if picture := plain(data, index, limits, pages):
        return (picture,)
    kind = formats.kind(data)
    with reading(name, kind):
        formats.check_heic(data, name)
        if kind == "PDF":
            return _pdf(data, index, limits, pages)
        with Image.open(io.BytesIO(data), formats=formats.FORMATS) as image:
            count = _frames(image, limits.max_pages) if kind == "TIFF" else 1
            numbers = selected(pages, count, limits.max_pages, name)
            return tuple(
                _frame(image, data, index, number if count > 1 else None, limits)
                for number in numbers
            )


def plain(data: bytes, index: int, limits: Limits, pages: str | None) -> Picture | None:
    """The picture in a file that can be sent as it is (see `images.plain`); None for any other.

    Raises:
        Problem: as `probe` does.
    """
    size = plain_size(data)
    if size is None:
        return None
    name = f"image[{index}]"
    _check_size(*size, name, limits)
    selected(pages, 1, limits.max_pages, name)
    return Picture(data, index, None, *size, plain=True)


def _pdf(data: bytes, index: int, limits: Limits, pages: str | None) -> tuple[Picture, ...]:
    name = f"image[{index}]"
    with pdf.opened(data, name) as document:
        found = []
        for number in selected(pages, len(document), limits.max_pages, name):
            page = document.page(number)
            width, height = max(1, round(page.width)), max(1, round(page.height))
            _check_aspect(width, height, f"{name} page {number}")
            scale = pdf.DPI / pdf.POINTS_PER_INCH
            notes = tuple(f"{name} page {number}: {note}." for note in page.notes)
            found.append(
                Picture(
                    data,
                    index,
                    number,
                    width,
                    height,
                    notes,
                    page.text,
                    scale,
                    region=page.region,
                    below=page.below,
                )
            )
        return tuple(found)


def _frames(image: Image.Image, most: int) -> int:
    """Pages of a TIFF, counted no further than one too many: a small file can claim millions."""
    count = 1
    try:
        while count <= most:
            image.seek(count)
            count += 1
    except EOFError:
        pass
    return count


def _frame(
    image: Image.Image, data: bytes, index: int, page: int | None, limits: Limits
) -> Picture:
    name = f"image[{index}]" + (f" page {page}" if page else "")
    if page:
        image.seek(page - 1)
    width, height = image.size
    _check_size(width, height, name, limits)
    if image.getexif().get(ORIENTATION, 1) in LYING:
        width, height = height, width
    notes: tuple[str, ...] = ()
    # A camera's JPEG with a second picture for its preview (MPO) is no animation.
    if (
        page is None
        and image.format not in ("MPO", "TIFF")
        and getattr(image, "is_animated", False)
    ):
        notes = (f"{name} is an animation; its first frame was used.",)
    return Picture(data, index, page, width, height, notes)


def _check_size(width: int, height: int, name: str, limits: Limits) -> None:
    if width * height > limits.max_megapixels * 1e6 or max(width, height) > MAX_SIDE:
        raise ImageTooLarge(
            f"{name} has {width}x{height} pixels; at most {limits.max_megapixels:g} "
            f"megapixels and {MAX_SIDE} pixels a side are taken. Shrink it."
        )
    _check_aspect(width, height, name)


def _check_aspect(width: int, height: int, name: str) -> None:
    if max(width, height) > MAX_ASPECT * max(1, min(width, height)):
        raise ImageTooLarge(
            f"{name} has {width}x{height} pixels; the long side may be at most "
            f"{MAX_ASPECT} times the short one. Cut it into pieces."
        )
