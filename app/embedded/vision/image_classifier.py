"""EfficientNet-Lite0: classifies a whole image into ImageNet's 1,000 classes."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from app.embedded.images.pixels import Pixels
from app.embedded.onnx_session import open_session

SIDE = 224  # pixels of the input
CROP_SHARE = 224 / 256  # of the shorter side; the centre crop of the training
CONFIDENCE_THRESHOLD = 0.6
MIN_SCORE = 0.15

# Groups of classes that differ only by breed or species: first and last class number in ImageNet's
# order, which follows WordNet. The scores of a group are added.
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
class Classification:
    """A class and its score, 0 to 1. `members`: the classes of a group with a relevant score."""

    label: str
    score: float
    members: tuple[str, ...] = ()

    @property
    def is_confident(self) -> bool:
        """Whether the score is high enough to report the class as a fact."""
        return self.score >= CONFIDENCE_THRESHOLD


class ImageClassifier:
    """Thread-safe."""

    def __init__(self, path: Path, threads: int) -> None:
        self._session = open_session(path, threads)
        metadata = self._session.get_modelmeta().custom_metadata_map
        self._labels = metadata["labels"].splitlines()

    def classify(self, image: Pixels) -> tuple[Classification, ...]:
        """The classes with a score of at least `MIN_SCORE`, highest first."""
        height, width = image.shape[:2]
        side = max(1, round(min(height, width) * CROP_SHARE))
        top, left = (height - side) // 2, (width - side) // 2
        method = cv2.INTER_AREA if side > SIDE else cv2.INTER_CUBIC
        crop = image[top : top + side, left : left + side]
        resized = cv2.resize(crop, (SIDE, SIDE), interpolation=method)[:, :, ::-1]
        normalised = ((resized.astype(np.float32) - 127) / 128).transpose(2, 0, 1)[None]
        (probabilities,) = self._session.run(["p"], {"x": normalised})
        return self._classifications(probabilities[0].tolist())

    def _classifications(self, scores: list[float]) -> tuple[Classification, ...]:
        classes, grouped = [], set[int]()
        for family, (first, last) in FAMILIES.items():
            numbers = range(first, last + 1)
            grouped.update(numbers)
            by_score = sorted(numbers, key=lambda number: -scores[number])
            members = tuple(self._labels[n] for n in by_score if scores[n] >= MIN_SCORE)
            classes.append(Classification(family, sum(scores[n] for n in numbers), members))
        classes += [
            Classification(label, score)
            for number, (label, score) in enumerate(zip(self._labels, scores, strict=True))
            if number not in grouped
        ]
        relevant = [one for one in classes if one.score >= MIN_SCORE]
        return tuple(sorted(relevant, key=lambda one: -one.score))
