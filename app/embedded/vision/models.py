"""The detector and the classifier, loaded when a picture is first looked at."""

import threading
from dataclasses import dataclass

from app.embedded import weights
from app.embedded.images.pixels import Pixels
from app.embedded.vision.image_classifier import Classifier, Guess
from app.embedded.vision.object_detector import Thing, ThingDetector


@dataclass(frozen=True, slots=True)
class Seen:
    """What the two networks say about a picture; with what scores is theirs to say."""

    things: tuple[Thing, ...] = ()
    guesses: tuple[Guess, ...] = ()


class Sight:
    """Reading alone needs neither network, so that neither is loaded for it."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._loaded: tuple[ThingDetector, Classifier] | None = None

    def look(self, image: Pixels) -> Seen:
        """Detect and classify.

        Raises:
            WeightsError: a file of weights is missing or damaged.
        """
        detector, classifier = self._networks()
        return Seen(detector.find(image), classifier.classify(image))

    def _networks(self) -> tuple[ThingDetector, Classifier]:
        with self._lock:
            if self._loaded is None:
                things, classes = weights.sight()
                self._loaded = (
                    ThingDetector(things, self._threads),
                    Classifier(classes, self._threads),
                )
            return self._loaded
