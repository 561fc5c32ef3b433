"""One picture of a request, and what a file may be; nothing here decodes."""

from dataclasses import dataclass

from app.errors import ImageTooLarge
from app.images.shared_file import Buffer, SharedFile, mapped

MAX_SIDE = 16_384
MAX_ASPECT = 100  # the model's own limit is 200 (ollama v0.12.7 panics beyond)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may be. Text layers of a document are looked at for `look_s` seconds of CPU time;
    the pages after that are read as pictures."""

    max_megapixels: float
    max_pages: int = 50
    look_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Picture:
    """One thing to be seen: an image, or a page of a document.

    index: of its file in the request, from 0.
    page: from 1; None for an image that is no document.
    width, height: of the upright original: pixels, or points (1/72 inch) for a page of a PDF.
    plain: it can be sent as it is (see `images.plain`).
    scale: pixels worth sending a unit of these.
    text: the page's own, where it carries one that serves (see `images.pdf.text_layer`).
    region, below: where only a part of the page must be read, that part as shares of its sides
        (left, top, right, bottom), and the page's own text that comes after it.
    passes: how often the decoder goes over all pixels: the scans of a JPEG.
    """

    data: bytes | SharedFile
    index: int
    page: int | None
    width: int
    height: int
    warnings: tuple[str, ...] = ()
    text: str | None = None
    scale: float = 1.0
    plain: bool = False
    passes: int = 1
    region: tuple[float, float, float, float] | None = None
    below: str = ""

    @property
    def content(self) -> Buffer:
        """The bytes of the file."""
        return mapped(self.data)

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


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file as bare base64, and what went otherwise than expected."""

    base64: bytes
    warnings: tuple[str, ...] = ()


def check_size(width: int, height: int, name: str, limits: Limits) -> None:
    """Raises ImageTooLarge for an image, in pixels, that is larger or longer than allowed."""
    if width * height > limits.max_megapixels * 1e6 or max(width, height) > MAX_SIDE:
        raise ImageTooLarge(
            f"{name} has {width}x{height} pixels; at most {limits.max_megapixels:g} "
            f"megapixels and {MAX_SIDE} pixels a side are taken. Shrink it."
        )
    check_aspect(width, height, name)


def check_aspect(width: int, height: int, name: str) -> None:
    """Raises ImageTooLarge for one that is far longer than it is wide."""
    if max(width, height) > MAX_ASPECT * max(1, min(width, height)):
        raise ImageTooLarge(
            f"{name} has {width}x{height} pixels; the long side may be at most "
            f"{MAX_ASPECT} times the short one. Cut it into pieces."
        )
