"""Converts images of any Pillow mode and ICC profile to opaque sRGB."""

import io
from collections.abc import Callable

from PIL import Image, ImageCms

SIXTEEN_TO_EIGHT = 1 / 257  # 65,535 -> 255; Pillow's own conversion clips instead
BAND_ROWS = 256  # rows
_SRGB = ImageCms.createProfile("sRGB")


def to_eight_bit(image: Image.Image) -> Image.Image:
    """Scale an image of 16-bit, 32-bit or float samples to mode L; return others unchanged.

    Raises:
        ValueError: the samples are not numbers.
    """
    if image.mode.startswith("I;16"):
        return _convert_in_bands(
            image, lambda band: band.convert("I").point(lambda value: value * SIXTEEN_TO_EIGHT)
        )
    if image.mode not in ("I", "F"):
        return image
    _, high = image.getextrema()
    if not isinstance(high, int | float):
        raise ValueError("the samples are not numbers")
    # The file does not define white: take the narrowest usual range that holds all samples.
    white = next((one for one in (1.0, 255.0, 65_535.0) if high <= one), float(high))
    if image.mode == "I" and white == 1.0:
        white = 255.0
    scale = 255.0 / white
    return _convert_in_bands(
        image, lambda band: band.convert("F").point(lambda value: value * scale + 0.0)
    )


def _convert_in_bands(
    image: Image.Image, change: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """Convert an image to mode L in bands of rows, to limit the memory of the 4-byte copies."""
    out = Image.new("L", image.size)
    for top in range(0, image.height, BAND_ROWS):
        box = (0, top, image.width, min(top + BAND_ROWS, image.height))
        out.paste(change(image.crop(box)).convert("L"), (0, top))
    return out


def to_resizable_mode(image: Image.Image) -> Image.Image:
    """Convert palette and 1-bit images, which cannot be resized smoothly, to RGB, RGBA or L."""
    if image.mode in ("P", "PA") or "transparency" in image.info:
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.convert("L") if image.mode == "1" else image


# Backgrounds for transparent images. Most pages are white; white text needs another background.
BACKGROUND_LEVELS = (255, 0, 128)  # grey levels
MIN_CONTRAST = 60  # a pixel within so many grey levels of the background is not visible
MAX_LOST_SHARE = 0.25  # share of the opaque pixels that may be invisible on white


def background_level(image: Image.Image, alpha: Image.Image) -> int:
    """Return the grey level of the background on which the opaque pixels of an image are visible.

    It is white, unless more than `MAX_LOST_SHARE` of the opaque pixels are invisible on white and
    less than half as many on another background."""
    levels = image.convert("L").histogram(alpha.point(lambda value: 255 if value > 127 else 0))
    opaque = sum(levels)
    if not opaque or alpha.getextrema()[0] == 255:
        return BACKGROUND_LEVELS[0]
    lost = {
        one: sum(levels[max(0, one - MIN_CONTRAST) : one + MIN_CONTRAST + 1]) / opaque
        for one in BACKGROUND_LEVELS
    }
    best = min(BACKGROUND_LEVELS, key=lambda one: lost[one])
    return (
        best if lost[255] > MAX_LOST_SHARE and lost[best] < lost[255] / 2 else BACKGROUND_LEVELS[0]
    )


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, str]:
    """Return the image in mode RGB and sRGB, and a warning if its profile is unusable (else "").

    Transparent images are composited on the background that `background_level` chooses, mostly
    white.
    """
    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
    note = ""
    if alpha:
        image = image.convert("RGB" if image.mode == "RGBA" else "L")
    if profile:
        image, note = _apply_profile(image, profile)
    if image.mode != "RGB":  # converting would copy
        image = image.convert("RGB")
    if alpha:
        paper = Image.new("RGB", image.size, (background_level(image, alpha),) * 3)
        paper.paste(image, mask=alpha)
        image = paper
    return image, note


def _apply_profile(image: Image.Image, profile: bytes) -> tuple[Image.Image, str]:
    """Convert an image from its ICC profile to sRGB; a profile that does not fit is ignored."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return image, ""
        turned = ImageCms.profileToProfile(
            image,
            source,
            _SRGB,
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image, "its colour profile cannot be used; the colours may be slightly off"
    return turned or image, ""
