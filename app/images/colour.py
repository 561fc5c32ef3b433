"""Any mode and any profile to sRGB, laid on a ground."""

import io
from collections.abc import Callable

from PIL import Image, ImageCms

SIXTEEN_TO_EIGHT = 1 / 257  # 65,535 -> 255; Pillow's own conversion clips instead
BAND = 256  # rows
_SRGB = ImageCms.createProfile("sRGB")


def eight_bit(image: Image.Image) -> Image.Image:
    """An image of 16 or 32 bits a sample, or of floats, scaled to 8 bits; others as they are."""
    if image.mode.startswith("I;16"):
        return _by_bands(
            image, lambda band: band.convert("I").point(lambda value: value * SIXTEEN_TO_EIGHT)
        )
    if image.mode not in ("I", "F"):
        return image
    _, high = image.getextrema()
    if not isinstance(high, int | float):
        raise ValueError("samples that are no numbers")
    # Nothing in the file says what white is: the narrowest range that holds the samples.
    white = next((one for one in (1.0, 255.0, 65_535.0) if high <= one), float(high))
    if image.mode == "I" and white == 1.0:
        white = 255.0
    scale = 255.0 / white
    return _by_bands(image, lambda band: band.convert("F").point(lambda value: value * scale + 0.0))


def _by_bands(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """The image in mode L, changed in bands: four bytes a pixel once are enough."""
    out = Image.new("L", image.size)
    for top in range(0, image.height, BAND):
        box = (0, top, image.width, min(top + BAND, image.height))
        out.paste(change(image.crop(box)).convert("L"), (0, top))
    return out


def plain(image: Image.Image) -> Image.Image:
    """Out of modes that cannot be resized well: palettes and single bits."""
    if image.mode in ("P", "PA") or "transparency" in image.info:
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.convert("L") if image.mode == "1" else image


# Grounds for what is transparent. White is that of most pages; text in white needs another.
GROUNDS = (255, 0, 128)  # grey levels
LOST = 60  # levels from its ground, within which something cannot be made out
MOST_LOST = 0.25  # of what is opaque, on white


def ground(image: Image.Image, alpha: Image.Image) -> int:
    """The grey level to lay a picture on, so that what is opaque in it shows: white, unless much
    of it would be lost there and less than half of that on another."""
    levels = image.convert("L").histogram(alpha.point(lambda value: 255 if value > 127 else 0))
    opaque = sum(levels)
    if not opaque or alpha.getextrema()[0] == 255:
        return GROUNDS[0]
    lost = {one: sum(levels[max(0, one - LOST) : one + LOST + 1]) / opaque for one in GROUNDS}
    best = min(GROUNDS, key=lambda one: lost[one])
    return best if lost[255] > MOST_LOST and lost[best] < lost[255] / 2 else GROUNDS[0]


def srgb_on_white(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, str]:
    """RGB in sRGB, with what is transparent laid on white or on the ground that shows what is
    opaque; and a sentence where the profile could not be used."""
    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
    note = ""
    if alpha:
        image = image.convert("RGB" if image.mode == "RGBA" else "L")
    if profile:
        image, note = _managed(image, profile)
    if image.mode != "RGB":  # converting would copy
        image = image.convert("RGB")
    if alpha:
        paper = Image.new("RGB", image.size, (ground(image, alpha),) * 3)
        paper.paste(image, mask=alpha)
        image = paper
    return image, note


def _managed(image: Image.Image, profile: bytes) -> tuple[Image.Image, str]:
    """Through its ICC profile to sRGB. One that does not fit the image is passed over."""
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
