"""Normalizes streamed text to NFC.

A model may write decomposed Hangul (for example from a macOS file name). It looks the same, but a
search for the composed form does not find it.
"""

import re
import unicodedata

# An open Hangul syllable at the end of a piece; the next piece may continue it.
_INCOMPLETE_SYLLABLE = re.compile(r"[\u1100-\u11ff\uac00-\ud7a3]?[\u1100-\u11ff]*\Z")
_JAMO = re.compile(r"[\u1100-\u11ff]")


class NfcNormalizer:
    """Composes pieces of text. A tail that a later piece may change is held back."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        """Add a piece. Returns the composed text that is final and not returned yet."""
        if not self._held and text.isascii():
            return text
        text = self._held + text
        open_ = _INCOMPLETE_SYLLABLE.search(text)
        tail = open_[0] if open_ and _JAMO.search(open_[0]) else ""
        self._held = tail
        return unicodedata.normalize("NFC", text[: len(text) - len(tail)])

    def finish(self) -> str:
        """The text that was held back."""
        held, self._held = self._held, ""
        return unicodedata.normalize("NFC", held)
