"""Character and word error rates (CER, WER): Levenshtein distance over the length of the truth.

Texts are compared in NFKC. White space counts as one space, or not at all in rates without spaces.
"""

import unicodedata
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

edit_distance = Levenshtein.distance


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """Rates from 0; insertions can make them larger than 1. `cer` ignores white space."""

    cer: float
    cer_spaced: float
    wer: float

    @classmethod
    def measure(cls, read: str, written: str) -> "ErrorRates":
        """The error rates of a reading. `written` must not be blank."""
        return cls(
            _rate(normalize(read, ""), normalize(written, "")),
            _rate(normalize(read, " "), normalize(written, " ")),
            _rate(normalize(read, " ").split(), normalize(written, " ").split()),
        )


def normalize(text: str, space: str) -> str:
    """NFKC, with `space` in place of each run of white space."""
    return space.join(unicodedata.normalize("NFKC", text).split())


def _rate(read: str | list[str], written: str | list[str]) -> float:
    return edit_distance(read, written) / len(written)
