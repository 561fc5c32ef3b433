"""Scores and colours as text."""

from app.embedded.answers.messages import ENGLISH, KOREAN
from app.embedded.answers.render import MAX_COLOURS, format_colours, format_scores
from app.embedded.vision.colours import NamedColour
from app.embedded.vision.image_classifier import Classification
from app.embedded.vision.object_detector import Detection

BOX = (0.0, 0.0, 1.0, 1.0)


def test_scores_are_grouped_by_label_and_truncated() -> None:
    predictions: list[Detection | Classification] = [
        Detection("person", 0.889, BOX),
        Classification("espresso", 0.599),
        Detection("person", 0.71, BOX),
    ]
    assert format_scores(predictions, ENGLISH) == "person 0.88, 0.71, espresso (coffee) 0.59"
    assert format_scores(predictions, KOREAN) == "사람 0.88, 0.71, 에스프레소 커피 0.59"


def test_colours_are_limited() -> None:
    colours = [NamedColour("brown", "갈색", 0.345)] * (MAX_COLOURS + 1)
    assert format_colours(colours, KOREAN) == ", ".join(["갈색 34%"] * MAX_COLOURS)
