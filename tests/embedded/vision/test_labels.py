"""Labels named in questions, and their names."""

import pytest

from app.embedded.vision.labels import COCO_LABELS, display_name, find_labels, remove_labels


@pytest.mark.parametrize(
    ("question", "labels"),
    [
        ("How many cats are there?", ("cat",)),
        ("Is there a wine glass or a bus?", ("wine glass", "bus")),
        ("A hot dog", ("hot dog",)),
        ("How many people ride a bike?", ("person", "bicycle")),
        ("고양이가 있나요?", ("cat",)),
        ("배가 보이나요?", ("boat",)),
        ("배경이 뭐예요?", ()),
        ("What is the total?", ()),
    ],
)
def test_labels_that_a_question_names(question: str, labels: tuple[str, ...]) -> None:
    assert find_labels(question, COCO_LABELS) == labels


@pytest.mark.parametrize(
    ("question", "left"),
    [("How many people are there?", "How many are there?"), ("휴대 전화가 있나요?", "있나요?")],
)
def test_a_question_without_its_labels(question: str, left: str) -> None:
    labels = find_labels(question, COCO_LABELS)
    assert " ".join(remove_labels(question, labels).split()) == left


def test_display_name() -> None:
    assert display_name("espresso", korean=False) == "espresso (coffee)"
    assert display_name("cat", korean=True) == "고양이"
    assert display_name("tabby", korean=True) == "tabby"
