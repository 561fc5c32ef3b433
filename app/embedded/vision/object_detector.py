"""NanoDet: detects objects of COCO's 80 classes.

It is trained on photos. On other images, and sometimes on photos, it is wrong with a high score.
Answers therefore give the score of each object, and report objects below `CONFIDENCE_THRESHOLD` as
uncertain.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from app.embedded.images.pixels import Pixels
from app.embedded.onnx_session import open_session

SIDE = 416  # pixels of the input
# Of the training images, BGR; from NanoDet's configuration.
MEAN = np.array([103.53, 116.28, 123.675], dtype=np.float32)
STD = np.array([57.375, 57.12, 58.395], dtype=np.float32)
STRIDES = (8, 16, 32)
DISTANCE_BINS = 11  # the distance of a side is a distribution over 0 to 10 strides

CONFIDENCE_THRESHOLD = 0.6
MIN_SCORE = 0.4  # detections below are noise and are dropped
NMS_IOU = 0.5  # boxes of one label with a higher overlap are the same object


@dataclass(frozen=True, slots=True)
class Detection:
    """COCO's label, score 0 to 1, and box (left, top, right, bottom) in pixels."""

    label: str
    score: float
    box: tuple[float, float, float, float]

    @property
    def is_confident(self) -> bool:
        """Whether the score is high enough to report the object as a fact."""
        return self.score >= CONFIDENCE_THRESHOLD


class ObjectDetector:
    """Thread-safe."""

    def __init__(self, path: Path, threads: int) -> None:
        self._session = open_session(path, threads)
        metadata = self._session.get_modelmeta().custom_metadata_map
        self._labels = metadata["labels"].splitlines()
        self._centres, self._strides = _grid()

    def detect(self, image: Pixels) -> tuple[Detection, ...]:
        """The objects with a score of at least `MIN_SCORE`, highest first."""
        height, width = image.shape[:2]
        scale = SIDE / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        left, top = (SIDE - size[0]) // 2, (SIDE - size[1]) // 2
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        canvas = np.broadcast_to(MEAN, (SIDE, SIDE, 3)).copy()
        resized = cv2.resize(image, size, interpolation=method)
        canvas[top : top + size[1], left : left + size[0]] = resized
        normalised = ((canvas - MEAN) / STD).transpose(2, 0, 1)[None]
        scores, distances = self._session.run(["scores", "distances"], {"x": normalised})
        boxes = self._boxes(distances[0]) - np.array([left, top, left, top])
        limit = np.array([width, height, width, height])
        return self._detections(scores[0], (boxes / scale).clip(0, limit))

    def _boxes(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n, 44) logits of the sides' distances -> (n, 4) boxes in pixels of the input."""
        probabilities = np.exp(logits.reshape(-1, 4, DISTANCE_BINS).astype(np.float64))
        steps = (probabilities / probabilities.sum(axis=2, keepdims=True)) @ np.arange(
            DISTANCE_BINS
        )
        distances = steps * self._strides[:, None]
        return np.hstack([self._centres - distances[:, :2], self._centres + distances[:, 2:]])

    def _detections(
        self, scores: NDArray[np.float32], boxes: NDArray[np.float64]
    ) -> tuple[Detection, ...]:
        best = scores.argmax(axis=1)
        found = []
        for row in np.flatnonzero(scores.max(axis=1) >= MIN_SCORE):
            label = self._labels[best[row]]
            left, top, right, bottom = boxes[row].tolist()
            found.append(
                Detection(label, float(scores[row, best[row]]), (left, top, right, bottom))
            )
        kept: list[Detection] = []
        for detection in sorted(found, key=lambda detection: -detection.score):
            if all(detection.label != o.label or iou(detection, o) < NMS_IOU for o in kept):
                kept.append(detection)
        return tuple(kept)


def iou(one: Detection, other: Detection) -> float:
    """Intersection over union of two boxes."""
    left, top = max(one.box[0], other.box[0]), max(one.box[1], other.box[1])
    right, bottom = min(one.box[2], other.box[2]), min(one.box[3], other.box[3])
    shared = max(0.0, right - left) * max(0.0, bottom - top)
    return shared / max(1e-9, _area(one) + _area(other) - shared)


def _area(detection: Detection) -> float:
    left, top, right, bottom = detection.box
    return (right - left) * (bottom - top)


def _grid() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, 2) centres and (n,) strides of the grid cells of the model's output rows."""
    centres, strides = [], []
    for stride in STRIDES:
        side = SIDE // stride
        y, x = np.mgrid[0:side, 0:side]
        centres.append((np.stack([x.ravel(), y.ravel()], axis=1) + 0.5) * stride)
        strides.append(np.full(side * side, float(stride)))
    return np.concatenate(centres), np.concatenate(strides)
