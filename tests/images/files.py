"""Builders of files that Pillow cannot write: deep, huge, or of many pages."""

import io
import struct
import zlib

import numpy as np
import pypdfium2 as pdfium  # type: ignore[import-untyped]
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tests.pictures import encoded


def png16(samples: NDArray[np.uint16], rows: int | None = None) -> bytes:
    """A PNG of 16 bits per sample, which Pillow cannot write; its data are in `rows` chunks."""
    height, width = samples.shape[:2]
    kind = 2 if samples.ndim == 3 else 0
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    data = zlib.compress(raw)
    step = len(data) // rows if rows else len(data)
    parts = [data[at : at + step] for at in range(0, len(data), step)]
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), *((b"IDAT", part) for part in parts), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff16_big(samples: NDArray[np.uint16]) -> bytes:
    """An uncompressed big-endian TIFF of 16-bit gray."""
    height, width = samples.shape
    pixels = samples.astype(">u2").tobytes()
    tags = [(256, width), (257, height), (258, 16), (259, 1), (262, 1), (273, 8), (277, 1)]
    tags += [(278, height), (279, len(pixels))]
    entries = b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags)
    head = b"MM\0*" + struct.pack(">I", 8 + len(pixels))
    return head + pixels + struct.pack(">H", len(tags)) + entries + struct.pack(">I", 0)


def bomb_png(width: int, height: int) -> bytes:
    """A decompression bomb: a PNG of one colour, of a few kilobytes per hundred megapixels."""
    row = b"\0" + b"\0" * (width // 8 + 1)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(min(height, 2000))) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def bomb_gif(width: int, height: int) -> bytes:
    return encoded(Image.new("P", (32, 32)), "GIF").replace(
        struct.pack("<HH", 32, 32), struct.pack("<HH", width, height)
    )


def bomb_bmp(width: int, height: int) -> bytes:
    data = encoded(Image.new("RGB", (32, 32)), "BMP")
    return data[:18] + struct.pack("<ii", width, height) + data[26:]


def tiff_pages(count: int) -> bytes:
    page = Image.new("1", (40, 40))
    return encoded(page, "TIFF", save_all=True, append_images=[page] * (count - 1))


def pdf_of(*images: Image.Image) -> bytes:
    """A PDF with one image per page; a pixel is a point."""
    document = pdfium.PdfDocument.new()
    for image in images:
        page = document.new_page(*image.size)
        shown = pdfium.PdfImage.new(document)
        shown.set_bitmap(pdfium.PdfBitmap.from_pil(image))
        shown.set_matrix(pdfium.PdfMatrix().scale(*image.size))
        page.insert_obj(shown)
        page.gen_content()
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def swapped_profile() -> bytes:
    """An sRGB profile with red and blue exchanged, so that an ignored profile is visible."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    renamed = data.replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")
    return renamed.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
