"""The detector and the classifier, loaded when a picture is first looked at."""

import threading
from dataclasses import dataclass

from app.embedded import weights
from app.embedded.images.pixels import Pixels
from app.embedded.vision.image_classifier import Classification, ImageClassifier
from app.embedded.vision.object_detector import Detection, ObjectDetector


@dataclass(frozen=True, slots=True)
class Predictions:
    """What the two networks say about a picture; with what scores is theirs to say."""

    detections: tuple[Detection, ...] = ()
    classifications: tuple[Classification, ...] = ()

    @property
    def all(self) -> tuple[Detection | Classification, ...]:
        return (*self.detections, *self.classifications)


class VisionModels:
    """Reading alone needs neither network, so that neither is loaded for it."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._loaded: tuple[ObjectDetector, ImageClassifier] | None = None

    def predict(self, image: Pixels) -> Predictions:
        """Detect and classify.

        Raises:
            WeightsError: a file of weights is missing or damaged.
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
