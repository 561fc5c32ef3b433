"""From a probed picture to the file that the daemon gets: upright, sRGB on white, in the planned
size.

The daemon takes few formats and honours no EXIF turn (findings), so what it gets is a JPEG or PNG:
the file itself where nothing is to be done, else a fresh one.
"""

import io
from dataclasses import dataclass

import pybase64
from PIL import Image, ImageOps

from app.images import formats, pdf
from app.images.colour import eight_bit, plain, srgb_on_white
from app.images.damage import reading
from app.images.probe import LYING, ORIENTATION, Picture

Size = tuple[int, int]

# What a text screenshot has and a photo has not: few colours. PNG keeps its edges.
FEW_COLORS = 4096
# A document is mostly paper: lighter than this, over this share of it.
PAPER, PAPER_SHARE = 190, 0.5


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file as bare base64, and what went otherwise than expected."""

    base64: bytes
    warnings: tuple[str, ...] = ()


def prepare(picture: Picture, size: Size) -> Prepared:
    """The picture in exactly `size` (width, height in pixels), as a JPEG or PNG.

    Raises:
        UnreadableImage: the file is damaged.
    """
    if picture.sent_as_it_is(size):
        return Prepared(pybase64.b64encode(picture.data))
    note = ""
    kind = formats.kind(picture.data)
    with reading(picture.name, kind):
        if kind == "PDF":
            with pdf.opened(picture.data, f"image[{picture.index}]") as document:
                image = document.render(picture.page or 1, size, picture.region)
        else:
            image, note = _decoded(picture, size)
    notes = (f"{picture.name}: {note}.",) if note else ()
    return Prepared(pybase64.b64encode(_encoded(image)), notes)


def _decoded(picture: Picture, size: Size) -> tuple[Image.Image, str]:
    image = _loaded(picture, size, 1)
    if image.format in ("JPEG", "MPO") and _shrunk(image, picture) and _is_document(image):
        # Print loses its thin strokes in a decoder's own shrinking; twice the size keeps them.
        image = _loaded(picture, size, 2)
    profile = image.info.get("icc_profile")
    image = plain(eight_bit(image))
    ImageOps.exif_transpose(image, in_place=True)
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return srgb_on_white(image, profile)


def _loaded(picture: Picture, size: Size, times: int) -> Image.Image:
    """All pixels, or a whole fraction of them that is still `times` as large as needed: a JPEG
    decoder shrinks by 2, 4 or 8 for less than nothing."""
    image = Image.open(io.BytesIO(picture.data), formats=formats.FORMATS)
    if picture.page:
        image.seek(picture.page - 1)
    lying = image.getexif().get(ORIENTATION, 1) in LYING
    width, height = (times * side for side in (size[::-1] if lying else size))
    if min(size) > 0:
        image.draft(None, (width, height))
    image.load()
    return image


def _shrunk(image: Image.Image, picture: Picture) -> bool:
    return max(image.size) < max(picture.width, picture.height)


def _is_document(image: Image.Image) -> bool:
    small = image.resize((64, 64), Image.Resampling.BOX, reducing_gap=1.0).convert("L")
    return sum(small.histogram()[PAPER:]) > PAPER_SHARE * 64 * 64


def _encoded(image: Image.Image) -> bytes:
    out = io.BytesIO()
    if image.getcolors(FEW_COLORS) is not None:
        image.save(out, "PNG", compress_level=1)
    else:
        image.save(out, "JPEG", quality=90)
    return out.getvalue()
