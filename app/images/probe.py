"""Finds the pictures in a file from its header alone.

No pixel is decoded before the limits are checked.
"""

import time

from PIL import Image, ImageFile

from app.errors import UnreadableImage
from app.images import formats
from app.images.damage import reading
from app.images.orientation import LYING, ORIENTATION, of_png
from app.images.pages import selected
from app.images.pdf import document as pdf
from app.images.picture import Limits, Picture, check_aspect, check_size
from app.images.plain import jpeg_scans, plain
from app.images.shared_file import Buffer, SharedFile, mapped, readable

# Scans of a progressive JPEG; encoders write about ten. Each scan is a pass over all pixels.
MOST_SCANS = 100
MOST_PASSED = 1000  # megapixels of all passes together; a core decodes some 200 per second

Image.MAX_IMAGE_PIXELS = None  # this module checks its own limit
ImageFile.LOAD_TRUNCATED_IMAGES = False


def probe(
    data: bytes | SharedFile, index: int, limits: Limits, pages: str | None = None
) -> tuple[Picture, ...]:
    """Return the pictures in a file: one image, or the selected pages of a document.

    Args:
        index: position of the file in the request, from 0.
        pages: selection of pages, see `images.pages`; None for all.

    Raises:
        UnsupportedImage: the format is not supported.
        ImageTooLarge: the file has more pixels, a longer side or more pages than allowed.
        UnreadableImage: the header is damaged.
        InvalidParameter, PageOutOfRange: see `images.pages`.
    """
    name = f"image[{index}]"
    if picture := plain(data, index, limits, pages):
        return (picture,)
    content = mapped(data)
    kind = formats.kind(content)
    with reading(name, kind):
        formats.check_heic(content, name)
        if kind == "PDF":
            return _pdf(data, index, limits, pages)
        with Image.open(readable(content), formats=formats.FORMATS) as image:
            count = _frames(image, limits.max_pages) if kind == "TIFF" else 1
            numbers = selected(pages, count, limits.max_pages, name)
            return tuple(
                _frame(image, data, index, number if count > 1 else None, limits)
                for number in numbers
            )


def _pdf(
    data: bytes | SharedFile, index: int, limits: Limits, pages: str | None
) -> tuple[Picture, ...]:
    name = f"image[{index}]"
    with pdf.opened(mapped(data), name) as document:
        found = []
        until = time.process_time() + limits.look_s
        for number in selected(pages, len(document), limits.max_pages, name):
            page = document.page(number, with_layer=time.process_time() < until)
            width, height = max(1, round(page.width)), max(1, round(page.height))
            check_aspect(width, height, f"{name} page {number}")
            scale = pdf.DPI / pdf.POINTS_PER_INCH
            notes = tuple(f"{name} page {number}: {note}." for note in page.notes)
            found.append(
                Picture(
                    data,
                    index,
                    number,
                    width,
                    height,
                    notes,
                    page.text,
                    scale,
                    region=page.region,
                    below=page.below,
                )
            )
        return tuple(found)


def _frames(image: Image.Image, most: int) -> int:
    """Count the pages of a TIFF, up to `most` + 1: a small file can claim millions."""
    count = 1
    try:
        while count <= most:
            image.seek(count)
            count += 1
    except EOFError:
        pass
    return count


def _frame(
    image: Image.Image,
    data: bytes | SharedFile,
    index: int,
    page: int | None,
    limits: Limits,
) -> Picture:
    name = f"image[{index}]" + (f" page {page}" if page else "")
    if page:
        image.seek(page - 1)
    width, height = image.size
    check_size(width, height, name, limits)
    if orientation_of(image, mapped(data)) in LYING:
        width, height = height, width
    notes: tuple[str, ...] = ()
    # A camera's JPEG with a second image as preview (MPO) is not an animation.
    if (
        page is None
        and image.format not in ("MPO", "TIFF")
        and getattr(image, "is_animated", False)
    ):
        notes = (f"{name} is an animation; its first frame was used.",)
    passes = _passes(image, data, name)
    return Picture(data, index, page, width, height, notes, passes=passes)


def orientation_of(image: Image.Image, content: Buffer) -> int:
    """Return the EXIF orientation of an image opened from this content, without decoding it."""
    if image.format == "PNG":
        return of_png(content)
    return int(image.getexif().get(ORIENTATION, 1))


def _passes(image: Image.Image, data: bytes | SharedFile, name: str) -> int:
    """Return the number of passes that the decoder makes over the image.

    Raises:
        UnreadableImage: there are so many passes that decoding takes minutes.
    """
    if image.format not in ("JPEG", "MPO"):
        return 1
    scans = max(1, jpeg_scans(mapped(data)))
    if scans > MOST_SCANS or scans * image.width * image.height > MOST_PASSED * 1e6:
        raise UnreadableImage(
            f"{name} is a progressive JPEG of at least {scans} scans, which takes too long to "
            "decode. Save it as a baseline JPEG."
        )
    return scans
