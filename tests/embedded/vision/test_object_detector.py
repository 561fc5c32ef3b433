"""Boxes of detections."""

from app.embedded.vision.image_facts import ImageFacts


def test_box(person: ImageFacts) -> None:
    (thing,) = [thing for thing in person.predictions.detections if thing.label == "person"]
    left, top, right, bottom = thing.box
    assert 0 <= left < 100
    assert 0 <= top < 100
    assert 300 < right <= 512
    assert 450 < bottom <= 512
