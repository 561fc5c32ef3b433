"""Checks whether a picture shows text, such as a scan, a table as a picture, or outlines."""

from collections.abc import Iterator

from PIL import Image, ImageChops

STRIP = 160  # pixels; width of the vertical strips that are checked
MIN_CONTRAST = 40  # of 255, between ink and background
MIN_EDGES = 5  # changes from background to ink along a pixel row of letters, in a strip
LINE_HEIGHTS = (5, 70)  # pixels; least and greatest height of a line of letters
QUIET_CHANGES = 1  # most changes along a pixel row between lines


def holds_text(picture: Image.Image) -> bool:
    """Return whether a picture (mode L, some 100 to 150 dpi) shows lines of letters.

    A line is a band of pixel rows with many changes between background and ink, and with rows of
    few changes above and below.
    """
    return any(_line_in(strip) for one in _sizes(picture) for strip in _strips(one))


def text_strip_share(picture: Image.Image) -> float:
    """Return the share of a picture's vertical strips that show lines of letters.

    The share is small for a texture.
    """
    shares = []
    for one in _sizes(picture):
        found = [_line_in(strip) for strip in _strips(one)]
        shares.append(sum(found) / len(found) if found else 0.0)
    return max(shares)


def _sizes(picture: Image.Image) -> tuple[Image.Image, ...]:
    """Return the picture, and a reduced copy in which large letters are recognised."""
    return (picture, picture.reduce(3)) if min(picture.size) >= 24 else (picture,)


def _strips(picture: Image.Image) -> Iterator[Image.Image]:
    width, height = picture.size
    if width < 8 or height < 8:
        return
    for left in range(0, width, STRIP // 2):
        right = min(width, left + STRIP)
        if right - left >= 8:
            yield picture.crop((left, 0, right, height))
        if right == width:
            return


def _line_in(strip: Image.Image) -> bool:
    rows = _changes(strip)
    start = None
    quiet_before = True
    for at, changes in enumerate([*rows, 0]):
        if changes >= MIN_EDGES:
            if start is None:
                start = at
                quiet_before = at < 2 or min(rows[max(0, at - 4) : at]) <= QUIET_CHANGES
        elif changes <= QUIET_CHANGES and start is not None:
            tall = at - start
            if quiet_before and LINE_HEIGHTS[0] <= tall <= LINE_HEIGHTS[1]:
                return True
            start = None
    return False


def _changes(strip: Image.Image) -> list[int]:
    """Return the number of changes from background to ink in each pixel row."""
    extrema = strip.getextrema()
    low, high = (float(value) for value in extrema if isinstance(value, int | float))
    if high - low < MIN_CONTRAST:
        return [0] * strip.height
    step = max(MIN_CONTRAST / 2, (high - low) * 0.25)
    edges = ImageChops.difference(strip, ImageChops.offset(strip, 1, 0))
    # `offset` wraps around, so that the first column is compared with the last.
    edges.paste(0, (0, 0, 1, edges.height))
    marks = edges.point(lambda value: 255 if value >= step else 0)
    shifted = ImageChops.offset(marks, 1, 0)
    begun = ImageChops.subtract(marks, shifted)
    width, height = begun.size
    data = begun.tobytes()
    return [data[row * width : (row + 1) * width].count(255) // 2 for row in range(height)]
