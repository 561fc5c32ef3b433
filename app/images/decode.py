"""Decodes a probed picture and encodes the JPEG or PNG that is sent to Ollama.

The result is upright, in sRGB on an opaque background, and has the planned size. Ollama reads few
formats and ignores the EXIF orientation (docs/OLLAMA_FACTS.md). A file that needs no change is sent
unchanged.
"""

import io

import pybase64
from PIL import Image

from app.images import formats
from app.images.colour import to_eight_bit, to_resizable_mode, to_srgb
from app.images.decode_errors import map_decode_errors
from app.images.orientation import SIDEWAYS
from app.images.passthrough import encode_unchanged
from app.images.pdf import document as pdf
from app.images.picture import Picture, PreparedImage
from app.images.probe import orientation_of
from app.images.shared_file import as_file

Size = tuple[int, int]

# A screenshot of text has few colours, a photo has many. PNG keeps sharp edges.
FEW_COLORS = 4096
# An image is a document if more than this share of its pixels is lighter than this grey level.
PAPER_LEVEL, PAPER_SHARE = 190, 0.5
# The transposition that makes an image of an EXIF orientation upright.
TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def prepare(picture: Picture, size: Size, pad: Size = (0, 0)) -> PreparedImage:
    """Return the picture in exactly `size` (width, height in pixels), as a JPEG or PNG.

    Args:
        pad: columns and rows of pixels to add, which repeat the right and the lower edge.

    Raises:
        UnreadableImage: the file is damaged.
    """
    if picture.is_passthrough(size) and not any(pad):
        return encode_unchanged(picture)
    note = ""
    content = picture.content
    kind = formats.detect_format(content)
    with map_decode_errors(picture.name, kind):
        if kind == "PDF":
            with pdf.open_pdf(content, f"image[{picture.index}]") as document:
                image = document.render(picture.page or 1, size, picture.region)
        else:
            image, note = _decode(picture, size)
    notes = (f"{picture.name}: {note}.",) if note else ()
    return PreparedImage(pybase64.b64encode(_encode(_pad(image, pad))), notes)


def _pad(image: Image.Image, pad: Size) -> Image.Image:
    if not any(pad):
        return image
    width, height = image.size
    larger = Image.new(image.mode, (width + pad[0], height + pad[1]))
    larger.paste(image)
    if pad[0]:
        edge = image.crop((width - 1, 0, width, height))
        larger.paste(edge.resize((pad[0], height)), (width, 0))
    if pad[1]:
        edge = larger.crop((0, height - 1, larger.width, height))
        larger.paste(edge.resize((larger.width, pad[1])), (0, height))
    return larger


def _decode(picture: Picture, size: Size) -> tuple[Image.Image, str]:
    image = _load(picture, size, 1)
    if image.format in ("JPEG", "MPO") and _was_shrunk(image, picture) and _is_document(image):
        # Shrinking in the decoder loses the thin strokes of print; twice the size keeps them.
        image = _load(picture, size, 2)
    profile = image.info.get("icc_profile")
    orientation = orientation_of(image, picture.content)
    image = to_resizable_mode(to_eight_bit(image))
    stored = size[::-1] if orientation in SIDEWAYS else size
    if image.size != stored:
        image = image.resize(stored, Image.Resampling.LANCZOS, reducing_gap=3.0)
    if orientation in TRANSPOSES:  # after resizing: a second copy of all pixels takes much memory
        image = image.transpose(TRANSPOSES[orientation])
    return to_srgb(image, profile)


def _load(picture: Picture, size: Size, times: int) -> Image.Image:
    """Decode an image, at a reduced scale where the format allows it.

    A JPEG decoder can scale by 1/2, 1/4 or 1/8, which is faster than decoding all pixels. A reduced
    image is still at least `times` as large as `size`.
    """
    content = picture.content
    image = Image.open(as_file(content), formats=formats.FORMATS)
    if picture.page:
        image.seek(picture.page - 1)
    lying = orientation_of(image, content) in SIDEWAYS
    width, height = (times * side for side in (size[::-1] if lying else size))
    if min(size) > 0:
        image.draft(None, (width, height))
    image.load()
    return image


def _was_shrunk(image: Image.Image, picture: Picture) -> bool:
    return max(image.size) < max(picture.width, picture.height)


def _is_document(image: Image.Image) -> bool:
    small = image.resize((64, 64), Image.Resampling.BOX, reducing_gap=1.0).convert("L")
    return sum(small.histogram()[PAPER_LEVEL:]) > PAPER_SHARE * 64 * 64


def _encode(image: Image.Image) -> bytes:
    out = io.BytesIO()
    if image.getcolors(FEW_COLORS) is not None:
        image.save(out, "PNG", compress_level=1)
    else:
        image.save(out, "JPEG", quality=90)
    return out.getvalue()
