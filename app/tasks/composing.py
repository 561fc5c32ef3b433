"""Text in composed form (NFC), while it comes in pieces.

A model copies what it sees, and from a file of macOS that may be Hangul in its parts: it looks the
same, and is found by no search.
"""

import re
import unicodedata

# Parts of a Hangul syllable at the end of a piece: more of it may come with the next.
_OPEN = re.compile(r"[\u1100-\u11ff\uac00-\ud7a3]?[\u1100-\u11ff]*\Z")
_PARTS = re.compile(r"[\u1100-\u11ff]")


class Composer:
    """Composes pieces; what a later piece may still change is held back."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        """What of the pieces so far is composed and not yet given."""
        if not self._held and text.isascii():
            return text
        text = self._held + text
        open_ = _OPEN.search(text)
        tail = open_[0] if open_ and _PARTS.search(open_[0]) else ""
        self._held = tail
        return unicodedata.normalize("NFC", text[: len(text) - len(tail)])

    def end(self) -> str:
        """What was held back."""
        held, self._held = self._held, ""
        return unicodedata.normalize("NFC", held)
