"""Decodes image files to upright BGR pixels."""

import io
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from app.embedded.cancellation import raise_if_cancelled
from app.embedded.images.containers import strip_metadata
from app.embedded.images.pixels import Pixels

MAX_PIXELS = 50_000_000
MAX_TOTAL_PIXELS = 150_000_000  # of one request; 3 bytes each in memory
TOKEN_SIDE = 32  # side in pixels of the square that counts as one prompt token, as in Qwen3-VL
EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
# EXIF orientation -> the operation that makes the image upright.
EXIF_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# As in the server (`app.images`): clients can also send transparent images to this engine alone.
BACKGROUND_LEVELS, SIMILAR_LEVELS, MAX_LOST_SHARE = (255, 0, 128), 60, 0.25

# decode_image() checks the size before it decodes pixels.
Image.MAX_IMAGE_PIXELS = None


class ImageDecodeError(Exception):
    """The image is not supported, damaged or too large. The message is Ollama's if it has one."""


@dataclass(frozen=True, slots=True)
class Picture:
    """`pixels`: (height, width, 3) BGR, upright, without transparency."""

    pixels: Pixels

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def tokens(self) -> int:
        return math.ceil(self.width / TOKEN_SIDE) * math.ceil(self.height / TOKEN_SIDE)


def decode_image(data: bytes) -> Picture:
    """Decodes a JPEG, PNG or WebP file, and the first frame of an animation.

    Decoding cannot be interrupted. The number of pixels and the cost per pixel are checked first,
    so that it takes at most about 4 s on one core.

    Raises:
        ImageDecodeError: another format, damaged, above 50 megapixels, or too expensive to decode.
    """
    try:
        container = strip_metadata(data)
        if container is None:
            raise ImageDecodeError("image: unknown format")
        with Image.open(io.BytesIO(container.data), formats=[container.format]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ImageDecodeError(
                    f"image: {image.width} x {image.height} pixels are more than "
                    f"{MAX_PIXELS // 10**6} megapixels"
                )
            image.load()
            transpose = EXIF_TRANSPOSE.get(container.orientation)
            return Picture(_to_bgr(image if transpose is None else image.transpose(transpose)))
    except UnidentifiedImageError:
        raise ImageDecodeError("image: invalid format") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # raised by Pillow's decoders
        raise ImageDecodeError(f"image: invalid format: {error}") from None


def decode_images(images: Sequence[bytes], cancelled: threading.Event) -> list[Picture]:
    """Decodes the images of a message.

    Raises:
        ImageDecodeError: an image cannot be decoded, or the images together are too large.
        Cancelled: `cancelled` was set.
    """
    decoded: list[Picture] = []
    pixels = 0
    for data in images:
        raise_if_cancelled(cancelled)
        decoded.append(decode_image(data))
        pixels += decoded[-1].width * decoded[-1].height
        if pixels > MAX_TOTAL_PIXELS:
            limit = MAX_TOTAL_PIXELS // 10**6
            raise ImageDecodeError(f"images: more than {limit} megapixels together")
    raise_if_cancelled(cancelled)
    return decoded


def _background_level(image: Image.Image) -> int:
    """The grey level behind an RGBA image: white, unless much of the image would vanish on it."""
    opaque = image.getchannel("A").point(lambda value: 255 if value > 127 else 0)
    levels = image.convert("L").histogram(opaque)
    count = sum(levels)
    if not count or opaque.getextrema()[0] == 255:
        return 255
    lost = {
        one: sum(levels[max(0, one - SIMILAR_LEVELS) : one + SIMILAR_LEVELS + 1]) / count
        for one in BACKGROUND_LEVELS
    }
    best = min(BACKGROUND_LEVELS, key=lambda one: lost[one])
    return best if lost[255] > MAX_LOST_SHARE and lost[best] < lost[255] / 2 else 255


def _to_bgr(image: Image.Image) -> Pixels:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        # Pillow's conversion clips at 255 instead of scaling.
        values = np.asarray(image, dtype=np.float32)
        top = 65535.0 if values.max() > 255 else 255.0
        image = Image.fromarray((values.clip(0, top) * (255 / top)).astype(np.uint8))
    elif image.mode not in EIGHT_BIT_MODES:
        image = image.convert("RGBA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, (*(_background_level(image),) * 3, 255))
        image = Image.alpha_composite(paper, image)
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])
