"""The last picture's facts and text: questions about one picture come one after another."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from app.embedded.images.decode import Picture
from app.embedded.vision.image_facts import ImageFacts

MAX_PIXELS = 4_000_000  # a larger picture is looked at anew; kept, it would cost 12 MB and more


@dataclass(frozen=True, slots=True)
class ImageContent:
    """Facts and the text as it was read, line by line."""

    facts: ImageFacts
    lines: tuple[str, ...]


class ContentCache:
    """Keeps one picture. Safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: object = None
        self._content: ImageContent | None = None

    def get_or_compute(
        self, picture: Picture, korean: bool, compute: Callable[[], ImageContent]
    ) -> ImageContent:
        """What is known of the picture, by its pixels; what `learn` finds where it is another.

        Args:
            korean: the language of the notes among the lines.
        """
        if picture.width * picture.height > MAX_PIXELS:
            return compute()
        key = picture.pixels.shape, sha256(picture.pixels.tobytes()).digest(), korean
        with self._lock:
            if self._content is not None and self._key == key:
                return self._content
        content = compute()
        with self._lock:
            self._key, self._content = key, content
        return content
