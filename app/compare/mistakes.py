"""How wrong a reading is: edits from what was read to what is written (insertions, deletions,
substitutions, each one), over the length of what is written.

CER counts characters, WER words. Everything is compared as NFKC, and runs of white space count as
one space, or not at all where a number is said to be without spaces.
"""

import unicodedata
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

edits = Levenshtein.distance


@dataclass(frozen=True, slots=True)
class Mistakes:
    """Shares, 0 for none; above 1 where more was added than is written. `cer` is without spaces."""

    cer: float
    cer_spaced: float
    wer: float

    @classmethod
    def of(cls, read: str, written: str) -> "Mistakes":
        """Of a reading, against a text that is not blank."""
        return cls(
            _share(normal(read, ""), normal(written, "")),
            _share(normal(read, " "), normal(written, " ")),
            _share(normal(read, " ").split(), normal(written, " ").split()),
        )


def normal(text: str, space: str) -> str:
    """As it is compared, with `space` for any white space."""
    return space.join(unicodedata.normalize("NFKC", text).split())


def _share(read: str | list[str], written: str | list[str]) -> float:
    return edits(read, written) / len(written)
