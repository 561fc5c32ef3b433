"""Facts and text of the last image, because clients ask several questions about one image."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from app.embedded.images.decode import Picture
from app.embedded.vision.image_facts import ImageFacts

MAX_PIXELS = 4_000_000  # a larger image is not cached: it takes more than 12 MB


@dataclass(frozen=True, slots=True)
class ImageContent:
    """Facts of an image, and its text line by line."""

    facts: ImageFacts
    lines: tuple[str, ...]


class ContentCache:
    """Holds the content of one image. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: object = None
        self._content: ImageContent | None = None

    def get_or_compute(
        self, picture: Picture, korean: bool, compute: Callable[[], ImageContent]
    ) -> ImageContent:
        """Returns the cached content if the pixels are the same, else computes and caches it.

        Args:
            korean: language of the notices among the lines; part of the key.
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
