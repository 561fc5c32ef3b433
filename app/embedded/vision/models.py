"""The object detector and the image classifier, loaded at their first use."""

import threading
from dataclasses import dataclass

from app.embedded import weights
from app.embedded.images.pixels import Pixels
from app.embedded.vision.image_classifier import Classification, ImageClassifier
from app.embedded.vision.object_detector import Detection, ObjectDetector


@dataclass(frozen=True, slots=True)
class Predictions:
    """What both networks predict for an image."""

    detections: tuple[Detection, ...] = ()
    classifications: tuple[Classification, ...] = ()

    @property
    def all(self) -> tuple[Detection | Classification, ...]:
        """Detections, then classifications."""
        return (*self.detections, *self.classifications)


class VisionModels:
    """Loads both networks at the first call, because OCR alone does not need them. Thread-safe."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._loaded: tuple[ObjectDetector, ImageClassifier] | None = None

    def predict(self, image: Pixels) -> Predictions:
        """Detects objects and classifies the whole image.

        Raises:
            WeightsError: a weights file is missing or damaged.
        """
        detector, classifier = self._load()
        return Predictions(detector.detect(image), classifier.classify(image))

    def _load(self) -> tuple[ObjectDetector, ImageClassifier]:
        with self._lock:
            if self._loaded is None:
                detector_path, classifier_path = weights.vision_paths()
                self._loaded = (
                    ObjectDetector(detector_path, self._threads),
                    ImageClassifier(classifier_path, self._threads),
                )
            return self._loaded
