"""Pillow's errors as problems. It tells damage in several types, some of them plain ones."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from PIL import UnidentifiedImageError

from app.errors import Problem, UnreadableImage, UnsupportedImage


@contextmanager
def reading(index: int, formats: Sequence[str]) -> Iterator[None]:
    """Around everything that opens or decodes a file.

    Raises:
        UnsupportedImage: the bytes are none of the formats.
        UnreadableImage: they are, but damaged.
    """
    try:
        yield
    except Problem:
        raise
    except UnidentifiedImageError:
        raise UnsupportedImage(
            f"image[{index}] is not an image that is taken here. Taken: {', '.join(formats)}."
        ) from None
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, KeyError) as error:
        raise UnreadableImage(f"image[{index}] is damaged: {error}.") from None
