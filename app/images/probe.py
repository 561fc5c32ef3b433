"""What a file is, from its header alone: no pixel is decoded before the limits were checked."""

import io
from dataclasses import dataclass

from PIL import Image, ImageFile

from app.errors import ImageTooLarge
from app.images.damage import reading

FORMATS = ("JPEG", "PNG", "WEBP")
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


@dataclass(frozen=True, slots=True)
class Picture:
    """One thing to be seen: an image, or a page of a document.

    `index` is that of its file in the request; `page` counts from 1. `width` and `height` are of
    the upright original, in pixels.
    """

    data: bytes
    index: int
    page: int | None
    width: int
    height: int
    warnings: tuple[str, ...] = ()
    text: str | None = None  # the page's own, where it carries one that is sound

    @property
    def natural(self) -> tuple[int, int]:
        """The size, in pixels, beyond which nothing more is to be seen."""
        return self.width, self.height


def probe(data: bytes, index: int, limits: Limits) -> tuple[Picture, ...]:
    """The pictures in a file.

    Raises:
        UnsupportedImage: no format that is taken here.
        ImageTooLarge: more pixels, or a longer side, than allowed.
        UnreadableImage: the header is damaged.
    """
    with reading(index, FORMATS):
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
        _check_size(width, height, index, limits)
        if image.getexif().get(ORIENTATION, 1) in LYING:
            width, height = height, width
        notes: tuple[str, ...] = ()
        if getattr(image, "n_frames", 1) > 1:
            notes = (f"image[{index}] is an animation; its first frame was used.",)
    return (Picture(data, index, None, width, height, notes),)


def _check_size(width: int, height: int, index: int, limits: Limits) -> None:
    if width * height > limits.max_megapixels * 1e6 or max(width, height) > MAX_SIDE:
        raise ImageTooLarge(
            f"image[{index}] has {width}x{height} pixels; at most {limits.max_megapixels:g} "
            f"megapixels and {MAX_SIDE} pixels a side are taken. Shrink it."
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageTooLarge(
            f"image[{index}] has {width}x{height} pixels; the long side may be at most "
            f"{MAX_ASPECT} times the short one. Cut it into pieces."
        )
