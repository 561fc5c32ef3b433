"""Which parts of an image file Pillow receives, and which files are rejected."""

import io
import struct
import time
import zlib

import pytest
from PIL import Image

from app.embedded.images.containers import MAX_CHUNKS, MAX_SEGMENTS, strip_metadata
from app.embedded.images.decode import ImageDecodeError, decode_image
from tests.embedded.images.image_files import FORMATS, quarters


def exif_bomb(tags: int = 5000, size: int = 60_000) -> bytes:
    """Many tags that refer to the same bytes, which Pillow copies for each tag."""
    entries = b"".join(struct.pack("<HHII", n, 7, size, 8) for n in range(1000, 1000 + tags))
    ifd = struct.pack("<H", tags) + entries + b"\0\0\0\0"
    return b"II*\0\x08\0\0\0" + ifd + bytes(max(0, size + 8 - len(ifd)))


def test_metadata_does_not_reach_pillow() -> None:
    bomb = b"Exif\0\0" + exif_bomb()
    segment = b"\xff\xe1" + struct.pack(">H", len(bomb) + 2) + bomb
    photo = quarters("JPEG")
    data = photo[:2] + segment * 20 + photo[2:]
    found = strip_metadata(data)
    assert found is not None
    assert len(found.data) < len(photo) + 20
    assert decode_image(data).width == 64


def test_text_of_a_png_does_not_reach_pillow() -> None:
    photo = quarters("PNG")
    text = b"Comment\0\0" + zlib.compress(bytes(1_000_000))
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text
    chunk += struct.pack(">I", zlib.crc32(chunk[4:]))
    end = photo.index(b"IDAT") - 4
    found = strip_metadata(photo[:end] + chunk * 100 + photo[end:])
    assert found is not None
    assert len(found.data) <= len(photo)


def progressive(scans: int, side: int = 2000) -> bytes:
    """A JPEG whose last scan is repeated."""
    file = io.BytesIO()
    Image.new("L", (side, side), 90).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


def test_scans_of_a_jpeg() -> None:
    """A scan takes time for every pixel, even if it has few bytes."""
    assert decode_image(progressive(5)).width == 2000
    data = progressive(3000)
    assert len(data) < 3_000_000
    before = time.process_time()
    with pytest.raises(ImageDecodeError, match="more than 250 scans"):
        decode_image(data)
    assert time.process_time() - before < 1  # decoding it takes a minute


@pytest.mark.parametrize("marker", [b"\xff\xfe\x00\x02", b"\xff"])
def test_segments_of_a_jpeg(marker: bytes) -> None:
    photo = quarters("JPEG")
    with pytest.raises(ImageDecodeError, match=f"more than {MAX_SEGMENTS} segments"):
        decode_image(photo[:2] + marker * 1_000_000 + photo[2:])


def test_chunks_of_a_png() -> None:
    photo = quarters("PNG")
    at = photo.index(b"IDAT") - 4
    empty = struct.pack(">I4sI", 0, b"IDAT", zlib.crc32(b"IDAT"))
    assert decode_image(photo[:at] + empty * 50_000 + photo[at:]).width == 64
    with pytest.raises(ImageDecodeError, match=f"more than {MAX_CHUNKS} chunks"):
        decode_image(photo[:at] + empty * 1_000_000 + photo[at:])


@pytest.mark.parametrize("image_format", ["GIF", "TIFF", "BMP", "PPM", "ICO", "JPEG2000"])
def test_other_formats(image_format: str) -> None:
    with pytest.raises(ImageDecodeError, match="unknown format"):
        decode_image(quarters(image_format))


@pytest.mark.parametrize("image_format", FORMATS)
def test_damage_is_an_error_of_ours(image_format: str) -> None:
    """Truncated at every byte, and with one byte changed."""
    data = quarters(image_format)
    broken = [data[:length] for length in range(len(data))]
    broken += [
        data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]
        for at in range(len(data))
        for flip in (0xFF, 0x01)
    ]
    refused = 0
    for one in broken:
        try:
            decode_image(one)
        except ImageDecodeError:
            refused += 1
    assert refused > len(data) // 2
