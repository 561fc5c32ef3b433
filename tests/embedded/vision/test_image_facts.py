"""Facts of real photos and of drawn images, by the loaded models."""

import cv2
import numpy as np

from app.embedded.models import Models
from app.embedded.vision.image_classifier import Classification
from app.embedded.vision.image_facts import ImageFacts
from app.embedded.vision.image_type import ImageType
from app.embedded.vision.object_detector import CONFIDENCE_THRESHOLD, Detection
from tests.embedded.image_facts import facts_of_file, facts_of_pixels
from tests.embedded.skimage_data import picture


def scores(found: ImageFacts) -> dict[str, float]:
    every: list[Detection | Classification] = [
        *found.predictions.detections,
        *found.predictions.classifications,
    ]
    return {one.label: max(o.score for o in every if o.label == one.label) for one in every}


def test_photos_are_named(cat: ImageFacts, person: ImageFacts, coffee: ImageFacts) -> None:
    named = ((cat, "cat"), (person, "person"), (coffee, "espresso"))
    for found, label in named:
        assert found.image_type.candidates == (ImageType.PHOTO,)
        assert scores(found)[label] >= CONFIDENCE_THRESHOLD


def test_motorcycle(models: Models) -> None:
    found = facts_of_file(models, picture("motorcycle_left.png"))
    assert scores(found)["motorcycle"] >= CONFIDENCE_THRESHOLD


def test_a_wrong_detection_is_not_confident(models: Models) -> None:
    """The detector sees a bed in a retina, with a score of 0.58."""
    found = facts_of_file(models, picture("retina.jpg"))
    assert scores(found)["bed"] < CONFIDENCE_THRESHOLD


def test_blank(models: Models) -> None:
    found = facts_of_pixels(models, np.full((200, 300, 3), 255, dtype=np.uint8))
    assert found.image_type.candidates == (ImageType.BLANK,)
    assert [(colour.english, colour.share) for colour in found.colours] == [("white", 1.0)]


def test_chart(models: Models) -> None:
    image = np.full((480, 720, 3), 255, dtype=np.uint8)
    for number, height in enumerate((120, 210, 300, 180, 260)):
        left = 100 + 110 * number
        cv2.rectangle(image, (left, 400 - height), (left + 70, 400), (200, 120, 40), -1)
        place = (left + 5, 430)
        cv2.putText(image, f"Q{number + 1} 2026", place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 0, 1)
    cv2.putText(image, "Sales by quarter", (230, 50), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 0, 2)
    found = facts_of_pixels(models, image)
    assert ImageType.CHART in found.image_type.candidates
