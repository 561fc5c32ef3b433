"""Finds the pictures in a file and their sizes, from its header alone; of a PDF also the text.

No pixel is decoded before the limits are checked.
"""

import time

from PIL import Image, ImageFile

from app.errors import UnreadableImage
from app.images import formats
from app.images.decode_errors import map_decode_errors
from app.images.orientation import ORIENTATION_TAG, SIDEWAYS, png_orientation
from app.images.pages import select_pages
from app.images.passthrough import jpeg_scans, passthrough_picture
from app.images.pdf import document as pdf
from app.images.picture import Limits, Picture, check_aspect, check_size
from app.images.shared_file import Buffer, SharedFile, as_buffer, as_file

# Scans of a progressive JPEG; encoders write about ten. Each scan is a pass over all pixels.
MAX_SCANS = 100
MAX_PASSED_MEGAPIXELS = (
    1000  # megapixels of all passes together; a core decodes some 200 per second
)

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
    if picture := passthrough_picture(data, index, limits, pages):
        return (picture,)
    content = as_buffer(data)
    kind = formats.detect_format(content)
    with map_decode_errors(name, kind):
        formats.check_heic(content, name)
        if kind == "PDF":
            return _pdf_pictures(data, index, limits, pages)
        with Image.open(as_file(content), formats=formats.FORMATS) as image:
            count = _count_frames(image, limits.max_pages) if kind == "TIFF" else 1
            numbers = select_pages(pages, count, limits.max_pages, name)
            return tuple(
                _frame_picture(image, data, index, number if count > 1 else None, limits)
                for number in numbers
            )


def _pdf_pictures(
    data: bytes | SharedFile, index: int, limits: Limits, pages: str | None
) -> tuple[Picture, ...]:
    name = f"image[{index}]"
    with pdf.open_pdf(as_buffer(data), name) as document:
        found = []
        until = time.process_time() + limits.text_layer_budget_s
        for number in select_pages(pages, len(document), limits.max_pages, name):
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
                    below=page.text_below,
                )
            )
        return tuple(found)


def _count_frames(image: Image.Image, max_frames: int) -> int:
    """Count the pages of a TIFF, up to `max_frames` + 1: a small file can claim millions."""
    count = 1
    try:
        while count <= max_frames:
            image.seek(count)
            count += 1
    except EOFError:
        pass
    return count


def _frame_picture(
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
    if orientation_of(image, as_buffer(data)) in SIDEWAYS:
        width, height = height, width
    notes: tuple[str, ...] = ()
    # A camera's JPEG with a second image as preview (MPO) is not an animation.
    if (
        page is None
        and image.format not in ("MPO", "TIFF")
        and getattr(image, "is_animated", False)
    ):
        notes = (f"{name} is an animation; its first frame was used.",)
    passes = _decode_passes(image, data, name)
    return Picture(data, index, page, width, height, notes, passes=passes)


def orientation_of(image: Image.Image, content: Buffer) -> int:
    """Return the EXIF orientation of an image opened from this content, without decoding it."""
    if image.format == "PNG":
        return png_orientation(content)
    return int(image.getexif().get(ORIENTATION_TAG, 1))


def _decode_passes(image: Image.Image, data: bytes | SharedFile, name: str) -> int:
    """Return the number of passes that the decoder makes over the image.

    Raises:
        UnreadableImage: there are so many passes that decoding takes minutes.
    """
    if image.format not in ("JPEG", "MPO"):
        return 1
    scans = max(1, jpeg_scans(as_buffer(data)))
    if scans > MAX_SCANS or scans * image.width * image.height > MAX_PASSED_MEGAPIXELS * 1e6:
        raise UnreadableImage(
            f"{name} is a progressive JPEG of at least {scans} scans, which takes too long to "
            "decode. Save it as a baseline JPEG."
        )
    return scans
