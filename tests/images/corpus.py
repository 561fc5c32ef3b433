"""Files of every format that clients send, each with the expected picture or error code."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageDraw, ImageFilter

import app.images.formats  # noqa: F401 - registers HEIC with Pillow, also for writing
from tests.images.files import (
    bomb_bmp,
    bomb_gif,
    bomb_png,
    pdf_of,
    png16,
    swapped_profile,
    tiff16_big,
    tiff_pages,
)
from tests.pictures import STORED, encoded

SIZE = (320, 224)
ORIENTATION = 0x0112


@dataclass(frozen=True)
class Case:
    """A file; `reference` is the picture that Ollama must receive (None: it is rejected)."""

    name: str
    data: bytes
    reference: Image.Image | None = None
    code: str = ""


def photo(size: tuple[int, int] = SIZE) -> Image.Image:
    """A smooth picture like a photo, without any symmetry."""
    return _painted(size).copy()


@cache
def _painted(size: tuple[int, int]) -> Image.Image:
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    red = 120 + 100 * np.sin(x / 37) * np.cos(y / 61)
    green = 255 * y / size[1]
    blue = 255 * (x / size[0]) ** 2
    image = Image.fromarray(np.dstack([red, green, blue]).clip(0, 255).astype("uint8"))
    ImageDraw.Draw(image).ellipse((20, 20, 90, 70), fill=(240, 240, 40))
    return image.filter(ImageFilter.GaussianBlur(1.5))


def _turned(image: Image.Image, orientation: int) -> tuple[Image.Image, Image.Exif]:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    how = STORED[orientation]
    return (image if how is None else image.transpose(how)), exif


def orientations() -> Iterator[Case]:
    """Every format that can store an EXIF orientation, in all eight orientations."""
    for form in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        for number in STORED:
            stored, exif = _turned(photo(), number)
            more: dict[str, Any] = {"lossless": True} if form == "WEBP" else {}
            more = {"quality": 90} if form in ("JPEG", "AVIF") else more
            data = encoded(stored, form, exif=exif, **more)
            yield Case(f"{form} orientation {number}", data, photo())


def gray(image: Image.Image | None = None) -> Image.Image:
    return (image or photo()).convert("L")


def _over_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _fading() -> Image.Image:
    """A photo that becomes transparent towards the left."""
    image = photo().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").rotate(90).resize(SIZE))
    return image


def modes() -> Iterator[Case]:
    """Colour modes, bit depths and compressions of each format."""
    writing: dict[str, dict[str, Any]] = {
        "baseline": {},
        "progressive": {"progressive": True},
        "optimised": {"optimize": True},
        "4:4:4": {"subsampling": 0},
        "4:2:0": {"subsampling": 2},
        "restart markers": {"restart_marker_blocks": 4},
    }
    for name, how in writing.items():
        yield Case(f"JPEG {name}", encoded(photo(), "JPEG", quality=92, **how), photo())
    yield Case("JPEG gray", encoded(gray(), "JPEG", quality=92), gray().convert("RGB"))
    cmyk = photo().convert("CMYK")
    yield Case("JPEG CMYK", encoded(cmyk, "JPEG", quality=95), cmyk.convert("RGB"))
    ycck = encoded(photo().convert("YCbCr"), "JPEG", quality=95)
    yield Case("JPEG YCbCr", ycck, photo())

    palette = photo().quantize(64)
    sixteen = Image.fromarray((np.asarray(gray(), "uint16") * 257).astype("uint16"))
    bits = gray().point(lambda value: 255 * (value > 128)).convert("1")
    for form in ("PNG", "TIFF"):
        yield Case(f"{form} RGB", encoded(photo(), form), photo())
        yield Case(f"{form} RGBA", encoded(_fading(), form), _over_white(_fading()))
        yield Case(f"{form} gray", encoded(gray(), form), gray().convert("RGB"))
        la = _fading().convert("LA")
        yield Case(f"{form} gray and alpha", encoded(la, form), _over_white(la))
        yield Case(f"{form} palette", encoded(palette, form), palette.convert("RGB"))
        yield Case(f"{form} 1 bit", encoded(bits, form), bits.convert("RGB"))
        yield Case(f"{form} 16 bit gray", encoded(sixteen, form), gray().convert("RGB"))
    yield Case("PNG 16 bit RGB", png16(np.asarray(photo(), "uint16") * 257), photo())
    clear = photo().quantize(64)
    transparent = encoded(clear, "PNG", transparency=5)
    yield Case("PNG palette with a clear colour", transparent, _cleared(clear, 5))
    yield Case("PNG interlaced by rows", png16(np.asarray(photo(), "uint16") * 257, 8), photo())

    for packed in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        data = encoded(photo(), "TIFF", compression=packed)
        yield Case(f"TIFF {packed}", data, photo())
    fax = encoded(bits, "TIFF", compression="group4")
    yield Case("TIFF fax", fax, bits.convert("RGB"))
    yield Case("TIFF CMYK", encoded(cmyk, "TIFF"), cmyk.convert("RGB"))
    floats = Image.fromarray(np.asarray(gray(), "float32") / 255)
    yield Case("TIFF floats", encoded(floats, "TIFF"), gray().convert("RGB"))
    yield Case("TIFF big-endian 16 bit", tiff16_big(np.asarray(gray(), "uint16") * 257), gray())

    yield Case("WEBP lossy", encoded(photo(), "WEBP", quality=95), photo())
    lossless = encoded(_fading(), "WEBP", lossless=True, exact=True)
    yield Case("WEBP alpha", lossless, _over_white(_fading()))
    yield Case("GIF", encoded(palette, "GIF"), palette.convert("RGB"))
    yield Case("GIF with a clear colour", encoded(clear, "GIF", transparency=5), _cleared(clear, 5))
    yield Case("BMP", encoded(photo(), "BMP"), photo())
    yield Case("BMP palette", encoded(palette, "BMP"), palette.convert("RGB"))
    yield Case("BMP 1 bit", encoded(bits, "BMP"), bits.convert("RGB"))
    yield Case("AVIF", encoded(photo(), "AVIF", quality=90), photo())
    yield Case("AVIF alpha", encoded(_fading(), "AVIF", quality=95), _over_white(_fading()))
    yield Case("HEIC", encoded(photo(), "HEIF", quality=90), photo())


def _cleared(palette: Image.Image, index: int) -> Image.Image:
    out = palette.convert("RGB")
    out.paste((255, 255, 255), mask=palette.point(lambda value: 255 * (value == index), "L"))
    return out


def frames() -> Iterator[Case]:
    """Animations, of which the first frame is used, and documents, of which the first page is."""
    second = Image.new("RGB", SIZE, "red")
    for form in ("WEBP", "PNG", "AVIF"):
        how: dict[str, Any] = {"lossless": True} if form == "WEBP" else {}
        data = encoded(photo(), form, save_all=True, append_images=[second], **how)
        yield Case(f"{form} animated", data, photo())
    first = photo().quantize(64)
    gif = encoded(first, "GIF", save_all=True, append_images=[second.quantize(4)])
    yield Case("GIF animated", gif, first.convert("RGB"))
    tiff = encoded(photo(), "TIFF", save_all=True, append_images=[second])
    yield Case("TIFF of two pages", tiff, photo())
    mpo = encoded(photo(), "MPO", save_all=True, append_images=[second], quality=92)
    yield Case("JPEG with a second picture", mpo, photo())
    yield Case("PDF", pdf_of(photo()), photo())
    yield Case("PDF of two pages", pdf_of(photo(), second), photo())


def profiles() -> Iterator[Case]:
    """Images with a colour profile, valid or not."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for form in ("JPEG", "PNG", "WEBP", "TIFF"):
        how: dict[str, Any] = {"lossless": True} if form == "WEBP" else {}
        how = {"quality": 92} if form == "JPEG" else how
        yield Case(f"{form} sRGB profile", encoded(photo(), form, icc_profile=srgb, **how), photo())
        swapped = Image.merge("RGB", photo().split()[::-1])
        data = encoded(swapped, form, icc_profile=swapped_profile(), **how)
        yield Case(f"{form} profile with red and blue changed", data, photo())
        broken = encoded(photo(), form, icc_profile=srgb[:100] + b"\0" * 50, **how)
        yield Case(f"{form} broken profile", broken, photo())
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    yield Case("PNG profile of another kind", encoded(photo(), "PNG", icc_profile=lab), photo())


def sizes() -> Iterator[Case]:
    """Small, thin and large images."""
    for size in ((1, 1), (31, 31), (33, 40), (20, 900), (900, 20), (1200, 12)):
        image = photo(size)
        yield Case(f"PNG {size[0]}x{size[1]}", encoded(image, "PNG"), image)
    large = photo((2400, 1800))
    yield Case("JPEG 2400x1800", encoded(large, "JPEG", quality=92), large)
    stored, exif = _turned(photo((2400, 1600)), 6)
    yield Case("JPEG lying", encoded(stored, "JPEG", exif=exif), photo((2400, 1600)))


def refused() -> Iterator[Case]:
    """Files that are damaged, too large, or not pictures."""
    yield Case("empty", b"", code="unreadable_image")
    for name, data in {
        "text": b"hello " * 50,
        "HTML": b"<html><body>404</body></html>",
        "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "zip": b"PK\3\4" + b"\0" * 100,
        "zeros": b"\0" * 1000,
        "ICO": encoded(photo((32, 32)), "ICO"),
        "JPEG 2000": encoded(photo(), "JPEG2000"),
    }.items():
        yield Case(name, data, code="unsupported_image")
    whole = {
        "JPEG": encoded(photo(), "JPEG", quality=92),
        "PNG": encoded(photo(), "PNG"),
        "WEBP": encoded(photo(), "WEBP", quality=95),
        "GIF": encoded(photo().quantize(64), "GIF"),
        "BMP": encoded(photo(), "BMP"),
        "TIFF": encoded(photo(), "TIFF", compression="tiff_lzw"),
        "AVIF": encoded(photo(), "AVIF", quality=90),
        "HEIC": encoded(photo(), "HEIF", quality=90),
    }
    for form, data in whole.items():
        for share in (0.3, 0.6, 0.9):
            cut = data[: int(len(data) * share)]
            yield Case(f"{form} cut at {share:.0%}", cut, code="unreadable_image")
    yield Case("PDF cut", pdf_of(photo())[:300], code="unreadable_image")
    yield Case("PDF that is none", b"%PDF-1.7\nnothing", code="unreadable_image")
    yield Case("PNG wrong checksum", _flipped(whole["PNG"], 60), code="unreadable_image")
    yield Case("PNG of 81 megapixels", bomb_png(9000, 9000), code="image_too_large")
    yield Case("PNG of 900 megapixels", bomb_png(30_000, 30_000), code="image_too_large")
    yield Case("PNG strip", bomb_png(9000, 30), code="image_too_large")
    yield Case("GIF of 4,000 megapixels", bomb_gif(65_000, 65_000), code="image_too_large")
    yield Case("BMP of 900 megapixels", bomb_bmp(30_000, 30_000), code="image_too_large")
    yield Case("TIFF of 51 pages", tiff_pages(51), code="image_too_large")


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


MAKERS: tuple[Callable[[], Iterator[Case]], ...] = (
    orientations,
    modes,
    frames,
    profiles,
    sizes,
    refused,
)


@cache
def corpus() -> tuple[Case, ...]:
    """All cases; making them takes seconds, so it is done once."""
    return tuple(case for make in MAKERS for case in make())
