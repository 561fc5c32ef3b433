"""EfficientNet-Lite0: which of ImageNet's 1,000 classes a whole picture is most like."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from app.embedded.images.pixels import Pixels
from app.embedded.onnx_session import session

SIDE = 224  # pixels of the input
SHARE = 224 / 256  # of the shorter side that the input shows
CLAIMED = 0.6
SEEN = 0.15

# Classes that differ only for those who know the breeds: first and last number in ImageNet's
# order, which follows WordNet. Their scores are added up.
FAMILIES = {
    "cat": (281, 285),
    "dog": (151, 268),
    "bear": (294, 297),
    "butterfly": (321, 326),
    "monkey": (369, 382),
    "snake": (52, 68),
    "spider": (72, 77),
}


@dataclass(frozen=True, slots=True)
class Guess:
    """A class and its score, 0 to 1; `members`: the family's classes that make it up."""

    label: str
    score: float
    members: tuple[str, ...] = ()


class Classifier:
    """Safe to call from several threads."""

    def __init__(self, path: Path, threads: int) -> None:
        self._session = session(path, threads)
        metadata = self._session.get_modelmeta().custom_metadata_map
        self._labels = metadata["labels"].splitlines()

    def classify(self, image: Pixels) -> tuple[Guess, ...]:
        """The guesses with a score from `SEEN` on, the surest first."""
        height, width = image.shape[:2]
        side = max(1, round(min(height, width) * SHARE))
        top, left = (height - side) // 2, (width - side) // 2
        method = cv2.INTER_AREA if side > SIDE else cv2.INTER_CUBIC
        middle = image[top : top + side, left : left + side]
        shown = cv2.resize(middle, (SIDE, SIDE), interpolation=method)[:, :, ::-1]
        given = ((shown.astype(np.float32) - 127) / 128).transpose(2, 0, 1)[None]
        (shares,) = self._session.run(["p"], {"x": given})
        return self._guesses(shares[0].tolist())

    def _guesses(self, shares: list[float]) -> tuple[Guess, ...]:
        guesses, grouped = [], set[int]()
        for family, (first, last) in FAMILIES.items():
            numbers = range(first, last + 1)
            grouped.update(numbers)
            by_share = sorted(numbers, key=lambda number: -shares[number])
            members = tuple(self._labels[n] for n in by_share if shares[n] >= SEEN)
            guesses.append(Guess(family, sum(shares[n] for n in numbers), members))
        guesses += [
            Guess(label, share)
            for number, (label, share) in enumerate(zip(self._labels, shares, strict=True))
            if number not in grouped
        ]
        seen = [guess for guess in guesses if guess.score >= SEEN]
        return tuple(sorted(seen, key=lambda guess: -guess.score))
