"""Which files are passed through to Ollama unchanged."""

import base64
import io
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from app.images.decode import prepare
from app.images.passthrough import passthrough_size
from app.images.picture import Limits
from app.images.probe import probe
from tests.pictures import encoded, scene

ORIENTATION = 0x0112
PHOTO = scene(160, 120)
JPEG, PNG = encoded(PHOTO, "JPEG"), encoded(PHOTO, "PNG")


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encoded(PHOTO, "JPEG", exif=exif)


def profile(name: str) -> bytes:
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    data = bytearray(made.tobytes())
    return (
        bytes(data)
        if name == "sRGB"
        else bytes(data).replace("sRGB".encode("utf-16-be"), "Wide".encode("utf-16-be"))
    )


PLAIN = {
    "JPEG": JPEG,
    "progressive": encoded(PHOTO, "JPEG", progressive=True),
    "gray": encoded(PHOTO.convert("L"), "JPEG"),
    "upright by its EXIF": turned(1),
    "tagged sRGB": encoded(PHOTO, "JPEG", icc_profile=profile("sRGB")),
    "zeros behind": JPEG + b"\0" * 7,
    "PNG": PNG,
    "PNG palette": encoded(PHOTO.quantize(16), "PNG"),
    "PNG 1 bit": encoded(PHOTO.convert("1"), "PNG"),
}
OTHER = {
    "empty": b"",
    "one byte": b"\xff",
    "WebP": encoded(PHOTO, "WEBP"),
    "turned": turned(6),
    "mirrored": turned(2),
    "another colour space": encoded(PHOTO, "JPEG", icc_profile=profile("Wide")),
    "CMYK": encoded(PHOTO.convert("CMYK"), "JPEG"),
    "JPEG cut": JPEG[:-40],
    "JPEG cut in its head": JPEG[:100],
    "JPEG with more behind": JPEG + b"more",
    "transparent": encoded(PHOTO.convert("RGBA"), "PNG"),
    "a transparent colour": encoded(PHOTO.quantize(16), "PNG", transparency=0),
    "16 bit": encoded(Image.fromarray(np.zeros((8, 8), np.uint16)), "PNG"),
    "PNG cut": PNG[:-20],
    "PNG with a wrong sum": PNG[:60] + bytes([PNG[60] ^ 1]) + PNG[61:],
    "PNG with more behind": PNG + b"more",
    "animated": encoded(
        PHOTO, "PNG", save_all=True, append_images=[PHOTO.rotate(90)], default_image=False
    ),
}


@pytest.mark.parametrize("name", PLAIN)
def test_sent_as_it_came(name: str) -> None:
    data = PLAIN[name]
    assert passthrough_size(data) == (160, 120)
    (picture,) = probe(data, 0, Limits(50))
    assert base64.b64decode(prepare(picture, (160, 120)).base64) == data


@pytest.mark.parametrize("name", OTHER)
def test_anything_else_is_looked_into(name: str) -> None:
    assert passthrough_size(OTHER[name]) is None


def test_in_another_size_it_is_made_anew() -> None:
    (picture,) = probe(JPEG, 0, Limits(50))
    sent = base64.b64decode(prepare(picture, (96, 64)).base64)
    assert Image.open(io.BytesIO(sent)).size == (96, 64)


def test_a_length_that_points_outside() -> None:
    broken = bytearray(JPEG)
    broken[4:6] = b"\xff\xff"
    assert passthrough_size(bytes(broken)) is None


def test_any_cut_is_noticed() -> None:
    for data in (JPEG, PNG):
        assert not [end for end in range(len(data)) if passthrough_size(data[:end])]


def test_sums_are_checked() -> None:
    body = b"IEND"
    assert PNG.endswith(body + zlib.crc32(body).to_bytes(4, "big"))
