"""What a file holds, from its header alone: no pixel is decoded before the limits were checked."""

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

# Scans of a progressive JPEG, each a pass over all pixels: encoders write about ten.
MOST_SCANS = 100
MOST_PASSED = 1000  # megapixels of all passes together; a core takes some 200 a second

Image.MAX_IMAGE_PIXELS = None  # the limit is checked here, from the header
ImageFile.LOAD_TRUNCATED_IMAGES = False


def probe(
    data: bytes | SharedFile, index: int, limits: Limits, pages: str | None = None
) -> tuple[Picture, ...]:
    """The pictures in a file: one, or the pages of a document (those that `pages` selects).

    Raises:
        UnsupportedImage: no format that is taken here.
        ImageTooLarge: more pixels, a longer side or more pages than allowed.
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
    """Pages of a TIFF, counted no further than one too many: a small file can claim millions."""
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
    # A camera's JPEG with a second picture for its preview (MPO) is no animation.
    if (
        page is None
        and image.format not in ("MPO", "TIFF")
        and getattr(image, "is_animated", False)
    ):
        notes = (f"{name} is an animation; its first frame was used.",)
    passes = _passes(image, data, name)
    return Picture(data, index, page, width, height, notes, passes=passes)


def orientation_of(image: Image.Image, content: Buffer) -> int:
    """The EXIF orientation of an image that was opened from this content; nothing is decoded."""
    if image.format == "PNG":
        return of_png(content)
    return int(image.getexif().get(ORIENTATION, 1))


def _passes(image: Image.Image, data: bytes | SharedFile, name: str) -> int:
    """How often the decoder goes over the picture.

    Raises:
        UnreadableImage: so often that it would take minutes.
    """
    if image.format not in ("JPEG", "MPO"):
        return 1
    scans = max(1, jpeg_scans(mapped(data)))
    if scans > MOST_SCANS or scans * image.width * image.height > MOST_PASSED * 1e6:
        raise UnreadableImage(
            f"{name} is a progressive JPEG of {scans} scans or more, which takes too long to "
            "decode. Save it as an ordinary JPEG."
        )
    return scans
