"""How wrong a reading is: edits from what was read to what is written (insertions, deletions,
substitutions, each one), over the length of what is written.

CER counts characters, WER words. Everything is compared as NFKC, and runs of white space count as
one space, or not at all where a number is said to be without spaces.
"""

import unicodedata
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

edit_distance = Levenshtein.distance


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """Shares, 0 for none; above 1 where more was added than is written. `cer` is without spaces."""

    cer: float
    cer_spaced: float
    wer: float

    @classmethod
    def measure(cls, read: str, written: str) -> "ErrorRates":
        """Of a reading, against a text that is not blank."""
        return cls(
            _rate(normalize(read, ""), normalize(written, "")),
            _rate(normalize(read, " "), normalize(written, " ")),
            _rate(normalize(read, " ").split(), normalize(written, " ").split()),
        )


def normalize(text: str, space: str) -> str:
    """As it is compared, with `space` for any white space."""
    return space.join(unicodedata.normalize("NFKC", text).split())


def _rate(read: str | list[str], written: str | list[str]) -> float:
    return edit_distance(read, written) / len(written)
