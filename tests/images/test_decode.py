"""How a picture is converted before it is sent to Ollama."""

import base64
import io
import zlib

import numpy as np
import pytest
from PIL import Image

from app.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from app.images.budget import fit_size
from app.images.decode import prepare
from app.images.picture import Limits, Picture
from app.images.probe import probe
from app.models.tokens import ImageTokenRule
from tests.pictures import STORED, encoded, scene

LIMITS = Limits(max_megapixels=50)
RULE = ImageTokenRule(32, 64, 2048)
ORIENTATION = 0x0112


def looked_at(data: bytes, index: int = 0) -> Picture:
    (picture,) = probe(data, index, LIMITS)
    return picture


def sent(data: bytes, budget: int = 1536) -> Image.Image:
    """Return the picture as Ollama decodes it."""
    picture = looked_at(data)
    size = fit_size(picture.natural_size, RULE, budget)
    image = Image.open(io.BytesIO(base64.b64decode(prepare(picture, size).base64)))
    assert image.size == size
    assert image.mode == "RGB"
    return image


def difference(a: Image.Image, b: Image.Image) -> float:
    """Return the mean difference of two pictures, of 255."""
    return float(np.abs(np.asarray(a, float) - np.asarray(b.resize(a.size), float)).mean())


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", STORED)
def test_every_orientation_comes_out_upright(form: str, orientation: int) -> None:
    upright = scene(640, 416)
    how = STORED[orientation]
    stored = upright if how is None else upright.transpose(how)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = encoded(stored, form, exif=exif)
    picture = looked_at(data)
    assert (picture.width, picture.height) == (640, 416)
    assert difference(sent(data), upright) < 6


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_phone_photo_is_shrunk_to_its_budget(orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = scene(4032, 3024)
    upright = stored if orientation == 1 else stored.transpose(Image.Transpose.ROTATE_270)
    out = sent(encoded(stored, exif=exif))
    assert 1300 < RULE.tokens(*out.size) <= 1536
    assert out.width / out.height == pytest.approx(upright.width / upright.height, rel=0.04)
    assert difference(out, upright) < 3


def test_transparency_is_laid_on_white() -> None:
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (16, 16, 48, 48))
    for form in ("PNG", "WEBP"):
        out = sent(encoded(image, form))
        assert out.getpixel((2, 2)) == (255, 255, 255)
        assert out.getpixel((32, 32)) == (0, 0, 0)


def test_palette_with_a_transparent_colour() -> None:
    image = Image.new("P", (64, 64), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.paste(1, (32, 0, 64, 64))
    out = sent(encoded(image, "PNG", transparency=0))
    assert out.getpixel((2, 2)) == (255, 255, 255)
    assert out.getpixel((60, 2)) == (255, 0, 0)


def test_photos_are_jpeg_and_text_is_png() -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (256, 256, 3), "uint8"))
    assert sent(encoded(noise, "BMP")).format == "JPEG"
    assert sent(encoded(scene(640, 640), "BMP")).format == "PNG"


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (30, 305), (2000, 21)])
def test_no_side_is_under_one_cell(size: tuple[int, int]) -> None:
    assert min(sent(encoded(scene(*size), "PNG")).size) >= 32


def test_first_frame_of_an_animation_with_a_warning() -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    warnings = looked_at(data, 3).warnings
    assert warnings == ("image[3] is an animation; its first frame was used.",)
    assert sent(data).getpixel((5, 5)) == (255, 0, 0)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.95])
def test_a_cut_file_is_never_half_a_picture(form: str, kept: float) -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (200, 200, 3), "uint8"))
    data = encoded(noise, form)
    with pytest.raises(UnreadableImage, match="damaged"):
        sent(data[: int(len(data) * kept)])


def test_what_is_no_image() -> None:
    for data in (b"hello", b"\x89PNG", b"<svg/>", b"%!PS-Adobe-3.0", b"\0" * 100):
        with pytest.raises(UnsupportedImage, match="JPEG, PNG, WebP"):
            looked_at(data)


@pytest.mark.parametrize("size", [(9000, 9000), (20000, 300), (5000, 40)])
def test_limits_hold_before_any_pixel_is_decoded(size: tuple[int, int]) -> None:
    """The file has no pixels, so decoding it would report damage instead."""
    data = encoded(Image.new("1", (8, 8)), "PNG")
    header = data[:16] + size[0].to_bytes(4, "big") + size[1].to_bytes(4, "big") + data[24:29]
    header += zlib.crc32(header[12:]).to_bytes(4, "big")
    with pytest.raises(ImageTooLarge, match=f"{size[0]}x{size[1]}"):
        looked_at(header + data[33:])
