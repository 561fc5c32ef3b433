"""The orientation is read from EXIF and XMP, before and after the pixels."""

import io

import pytest
from PIL import Image

from app.images.decode_cost import file_cost
from app.images.orientation import ORIENTATION_TAG, exif_orientation, png_orientation
from app.images.picture import Limits
from app.images.probe import probe
from tests.bombs.raster import chunk
from tests.pictures import encoded, scene

LIMITS = Limits(50)


def exif(orientation: int) -> bytes:
    made = Image.Exif()
    made[ORIENTATION_TAG] = orientation
    return made.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif(orientation: int) -> None:
    assert exif_orientation(exif(orientation)) == orientation


@pytest.mark.parametrize("before", [True, False], ids=["before the pixels", "behind them"])
@pytest.mark.parametrize("kind", ["eXIf", "XMP"])
def test_png(before: bool, kind: str) -> None:
    """Pillow decodes all pixels to find metadata after them; both results agree."""
    data = encoded(scene(64, 48), "PNG")
    xmp = b'XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta tiff:Orientation="6"/>'
    told = chunk(b"eXIf", exif(6)) if kind == "eXIf" else chunk(b"iTXt", xmp)
    at = data.find(b"IDAT" if before else b"IEND") - 4
    data = data[:at] + told + data[at:]
    assert png_orientation(data) == 6
    assert Image.open(io.BytesIO(data)).getexif()[ORIENTATION_TAG] == 6
    (picture,) = probe(data, 0, LIMITS)
    assert (picture.width, picture.height) == (48, 64)


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_a_damaged_png_is_upright(cut: int) -> None:
    assert png_orientation(encoded(scene(64, 48), "PNG")[:cut]) == 1


@pytest.mark.parametrize(
    ("how", "most_mb"), [({"lossless": True}, 192), ({"lossless": False}, 192)], ids=["VP8L", "VP8"]
)
def test_a_webp_costs_what_its_canvas_is(how: dict[str, bool], most_mb: int) -> None:
    """libwebp opens every file as an animation, with two canvases."""
    small = file_cost("WebP", encoded(scene(640, 480), "WEBP", **how))
    large = file_cost("WebP", encoded(scene(6000, 4000), "WEBP", method=0, quality=1, **how))
    assert small.memory_mb < most_mb < large.memory_mb
    assert (small.heavy, large.heavy) == (False, True)
