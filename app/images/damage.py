"""What decoders raise, as problems. They tell damage in many types, some of them plain ones."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

from app.errors import ImageTooLarge, Problem, UnreadableImage, UnsupportedImage
from app.images.formats import TAKEN

# All that a Pillow plugin was seen to raise on some 11,000 damaged files (tests/images), and what
# its sources raise besides.
DAMAGE = (
    OSError,
    AssertionError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    NotImplementedError,
    OverflowError,
    ZeroDivisionError,
    RuntimeError,
    struct.error,
    zlib.error,
)


@contextmanager
def reading(name: str, kind: str) -> Iterator[None]:
    """Around everything that opens or decodes a file of a kind (empty: none that is known);
    `name` is for the messages.

    Raises:
        UnsupportedImage: the bytes are of no format that is taken.
        UnreadableImage: they are, but damaged.
        ImageTooLarge: they ask for more memory than there is.
    """
    try:
        yield
    except Problem:
        raise
    except UnidentifiedImageError:
        if kind:
            raise UnreadableImage(f"{name} is a damaged {kind}: its header is cut.") from None
        raise UnsupportedImage(f"{name} is no image that is taken here. Taken: {TAKEN}.") from None
    except (Image.DecompressionBombError, MemoryError):
        raise ImageTooLarge(f"{name} is too large to be decoded. Shrink it.") from None
    except DAMAGE as error:
        raise UnreadableImage(f"{name} is damaged: {_said(error)}.") from None


def _said(error: Exception) -> str:
    """The error's own words, on one line and without a dot."""
    words = " ".join(str(error).split()).rstrip(".")
    return words[:200] or type(error).__name__
