"""From a file's bytes to the picture that the daemon gets: upright, on white, inside its budget.

The daemon takes few formats and honours no EXIF turn (findings), so what it gets is always a
fresh JPEG or PNG.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pybase64
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from app.errors import ImageTooLarge, Problem, UnreadableImage, UnsupportedImage
from app.images.budget import fit, tokens
from app.schemas import ImageInfo

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_SIDE = 16_384
MAX_ASPECT = 100  # the model's own limit is 200 (ollama v0.12.7 panics beyond)
# What a text screenshot has and a photo has not: few colours. PNG keeps its edges.
FEW_COLORS = 4096

Image.MAX_IMAGE_PIXELS = None  # the limit is checked here, from the header, before any decoding
ImageFile.LOAD_TRUNCATED_IMAGES = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """One image, ready: what to tell of it, and its file as bare base64."""

    info: ImageInfo
    base64: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an image may be and what it may cost."""

    max_megapixels: float
    cell: int
    max_tokens: int


def prepare(data: bytes, index: int, bounds: Bounds) -> Prepared:
    """Decode, turn upright, lay on white, shrink to the budget, and encode again.

    `width` and `height` of the answer are those of the upright original, in pixels.

    Raises:
        UnsupportedImage: no format that is taken here.
        ImageTooLarge: more pixels, or a longer side, than allowed (from the header alone).
        UnreadableImage: the file is damaged.
    """
    with _reading(index):
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        _check_size(image, index, bounds)
        notes: tuple[str, ...] = ()
        if getattr(image, "n_frames", 1) > 1:
            notes = (f"image[{index}] is an animation; its first frame was used.",)
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        width, height = image.size[::-1] if turned else image.size
        target = fit(width, height, bounds.cell, bounds.max_tokens)
        image.draft("RGB", (target[::-1] if turned else target))
        image = _on_white(ImageOps.exif_transpose(image))
    if image.size != target:
        image = image.resize(target, Image.Resampling.LANCZOS, reducing_gap=3.0)
    info = ImageInfo(
        index=index,
        page=None,
        width=width,
        height=height,
        sent_width=image.width,
        sent_height=image.height,
        tokens=tokens(*image.size, bounds.cell),
    )
    return Prepared(info, pybase64.b64encode_as_string(_encode(image)), notes)


def _check_size(image: Image.Image, index: int, bounds: Bounds) -> None:
    width, height = image.size
    if width * height > bounds.max_megapixels * 1e6 or max(width, height) > MAX_SIDE:
        raise ImageTooLarge(
            f"image[{index}] has {width}x{height} pixels; at most {bounds.max_megapixels:g} "
            f"megapixels and {MAX_SIDE} pixels a side are taken. Shrink it."
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageTooLarge(
            f"image[{index}] has {width}x{height} pixels; the long side may be at most "
            f"{MAX_ASPECT} times the short one. Cut it into pieces."
        )


@contextmanager
def _reading(index: int) -> Iterator[None]:
    """Pillow's errors as problems. It says damage in several types, some of them plain ones."""
    try:
        yield
    except Problem:
        raise
    except UnidentifiedImageError:
        raise UnsupportedImage(
            f"image[{index}] is not an image that is taken here. Taken: {', '.join(FORMATS)}."
        ) from None
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, KeyError) as error:
        raise UnreadableImage(f"image[{index}] is damaged: {error}.") from None


def _on_white(image: Image.Image) -> Image.Image:
    """RGB, with what is transparent laid on white: text is mostly black."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _encode(image: Image.Image) -> bytes:
    out = io.BytesIO()
    if image.getcolors(FEW_COLORS) is not None:
        image.save(out, "PNG", compress_level=1)
    else:
        image.save(out, "JPEG", quality=90)
    return out.getvalue()
