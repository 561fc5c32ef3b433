"""The picture of a request as a value object, and the limits of files. Nothing here decodes."""

from dataclasses import dataclass

from app.errors import ImageTooLarge
from app.images.shared_file import Buffer, SharedFile, as_buffer

MAX_SIDE = 16_384
MAX_ASPECT = 100  # the model's own limit is 200 (docs/OLLAMA_FACTS.md)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a file.

    text_layer_budget_s: seconds of CPU time for judging the text layers of a document. The
        remaining pages are read as pictures.
    """

    max_megapixels: float
    max_pages: int = 50
    text_layer_budget_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Picture:
    """An image, or a page of a document.

    data: the bytes of the whole file.
    index: position of the file in the request, from 0.
    page: number of the page, from 1; None for an image that is not a document.
    width, height: size of the upright original in pixels, or in points (1/72 inch) for a PDF page.
    scale: useful resolution, in pixels per unit of `width` and `height`.
    text: the page's text layer, if it is trustworthy (see `images.pdf.text_layer`).
    region: the part of the page that must be read as a picture, as shares of its sides (left, top,
        right, bottom); None for the whole page.
    below: the page's own text that follows `region`.
    passthrough: the file can be sent unchanged (see `images.passthrough`).
    passes: passes of the decoder over all pixels (the scans of a JPEG).
    """

    data: bytes | SharedFile
    index: int
    page: int | None
    width: int
    height: int
    warnings: tuple[str, ...] = ()
    text: str | None = None
    scale: float = 1.0
    passthrough: bool = False
    passes: int = 1
    region: tuple[float, float, float, float] | None = None
    below: str = ""

    @property
    def content(self) -> Buffer:
        """The bytes of the file."""
        return as_buffer(self.data)

    def is_passthrough(self, size: tuple[int, int]) -> bool:
        """Return whether the file can be sent unchanged as a picture of this size (pixels)."""
        return self.passthrough and size == (self.width, self.height)

    @property
    def name(self) -> str:
        """The picture's name in messages, such as `image[0] page 2`."""
        return f"image[{self.index}]" + (f" page {self.page}" if self.page else "")

    @property
    def natural_size(self) -> tuple[int, int]:
        """The largest useful size in pixels: a larger picture shows no more detail."""
        left, top, right, bottom = self.region or (0.0, 0.0, 1.0, 1.0)
        width, height = self.width * (right - left), self.height * (bottom - top)
        return max(1, round(width * self.scale)), max(1, round(height * self.scale))


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """A JPEG or PNG file as bare base64, and warnings for the user."""

    base64: bytes
    warnings: tuple[str, ...] = ()


def check_size(width: int, height: int, name: str, limits: Limits) -> None:
    """Check the size of an image, in pixels.

    Raises:
        ImageTooLarge: it has too many pixels, a side that is too long, or an extreme aspect ratio.
    """
    if width * height > limits.max_megapixels * 1e6 or max(width, height) > MAX_SIDE:
        raise ImageTooLarge(
            f"{name} has {width}x{height} pixels; the limits are {limits.max_megapixels:g} "
            f"megapixels and {MAX_SIDE} pixels per side. Send a smaller image."
        )
    check_aspect(width, height, name)


def check_aspect(width: int, height: int, name: str) -> None:
    """Check the aspect ratio of an image.

    Raises:
        ImageTooLarge: the long side is more than `MAX_ASPECT` times the short one.
    """
    if max(width, height) > MAX_ASPECT * max(1, min(width, height)):
        raise ImageTooLarge(
            f"{name} has {width}x{height} pixels; the long side may be at most "
            f"{MAX_ASPECT} times the short one. Split the image."
        )
