"""Maps the exceptions of image decoders to problems.

Decoders report damaged files with many exception types, among them builtin ones.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

from app.errors import ImageTooLarge, Problem, UnreadableImage, UnsupportedImage
from app.images.formats import SUPPORTED

# All exceptions that Pillow's plugins raised on some 11,000 damaged files (tests/images), and those
# that its sources raise in addition.
DECODE_ERRORS = (
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
def map_decode_errors(name: str, kind: str) -> Iterator[None]:
    """Convert exceptions of the code in the block, which opens or decodes a file, to problems.

    Args:
        name: of the file, for messages.
        kind: its format, from `formats.kind`; empty if unknown.

    Raises:
        UnsupportedImage: the format is not supported.
        UnreadableImage: the file is damaged.
        ImageTooLarge: decoding needs more memory than there is.
    """
    try:
        yield
    except Problem:
        raise
    except UnidentifiedImageError:
        if kind:
            raise UnreadableImage(f"{name} is a damaged {kind}: its header is truncated.") from None
        raise UnsupportedImage(
            f"{name} is not in a supported format. Supported formats: {SUPPORTED}."
        ) from None
    except (Image.DecompressionBombError, MemoryError):
        raise ImageTooLarge(f"{name} is too large to decode. Send a smaller image.") from None
    except DECODE_ERRORS as error:
        raise UnreadableImage(f"{name} is damaged: {_error_text(error)}.") from None


def _error_text(error: Exception) -> str:
    """Return the error's message on one line, at most 200 characters, without a final period."""
    words = " ".join(str(error).split()).rstrip(".")
    return words[:200] or type(error).__name__
