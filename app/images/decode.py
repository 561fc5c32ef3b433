"""From a probed picture to the file that the daemon gets: upright, on white, in the planned size.

The daemon takes few formats and honours no EXIF turn (findings), so what it gets is always a
fresh JPEG or PNG.
"""

import io

import pybase64
from PIL import Image, ImageOps

from app.images.damage import reading
from app.images.probe import FORMATS, LYING, ORIENTATION, Picture

# What a text screenshot has and a photo has not: few colours. PNG keeps its edges.
FEW_COLORS = 4096


def prepare(picture: Picture, size: tuple[int, int]) -> str:
    """The picture in `size` (width, height in pixels), as bare base64 of a JPEG or PNG.

    Raises:
        UnreadableImage: the file is damaged.
    """
    with reading(picture.index, FORMATS):
        image: Image.Image = Image.open(io.BytesIO(picture.data), formats=FORMATS)
        lying = image.getexif().get(ORIENTATION, 1) in LYING
        image.draft("RGB", size[::-1] if lying else size)
        image = _on_white(ImageOps.exif_transpose(image))
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return pybase64.b64encode_as_string(_encode(image))


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
