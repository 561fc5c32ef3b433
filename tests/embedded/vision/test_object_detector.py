"""Boxes of detections, and their overlap."""

import pytest

from app.embedded.vision.image_facts import ImageFacts
from app.embedded.vision.object_detector import Detection, iou


def test_box(person: ImageFacts) -> None:
    (detection,) = [one for one in person.predictions.detections if one.label == "person"]
    left, top, right, bottom = detection.box
    assert 0 <= left < 100
    assert 0 <= top < 100
    assert 300 < right <= 512
    assert 450 < bottom <= 512


@pytest.mark.parametrize(("left", "expected"), [(0.0, 1.0), (5.0, 1 / 3), (10.0, 0.0), (20.0, 0.0)])
def test_iou(left: float, expected: float) -> None:
    one = Detection("cat", 0.9, (0.0, 0.0, 10.0, 10.0))
    other = Detection("cat", 0.8, (left, 0.0, left + 10.0, 10.0))
    assert iou(one, other) == pytest.approx(expected)
