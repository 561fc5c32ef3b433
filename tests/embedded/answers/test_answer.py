"""Answers of the loaded models to messages."""

import json
import re
import threading

import pytest

from app.embedded.answers.answer import answer_json
from app.embedded.answers.intent import parse_intent
from app.embedded.images.decode import decode_images
from app.embedded.models import Models
from tests.embedded.answers.ask import ask_engine
from tests.embedded.pictures import example, truth


def test_reading_adds_nothing(models: Models) -> None:
    text = ask_engine(models, "Read this.", "table.png")
    assert [" ".join(line.split()) for line in text.splitlines()] == truth("table.txt")
    assert ask_engine(models, "Read this.", "photo.jpg") == ""


def test_description(models: Models) -> None:
    """Image type, statistics, confident and uncertain predictions, and the text."""
    text = ask_engine(models, "Describe this image.", "photo.jpg")
    assert text.startswith("This looks like a photo (landscape, 600 x 400 pixels as received).")
    assert re.search(r"Main colours: brown \d+%", text)
    assert re.search(r"Classifier \(whole image\): espresso \(coffee\) 0\.9\d\.", text)
    assert re.search(r"Uncertain \(below 0\.60\): dining table 0\.[45]\d", text)
    assert "No text was found." in text
    assert text.endswith("cannot know what the image means.")


def test_description_of_a_document(models: Models) -> None:
    """The networks are trained on photos and do not run on a page."""
    text = ask_engine(models, "Describe this image.", "receipt_ko.png")
    head, lines = text.split("\n", 1)
    assert head.startswith("This looks like a document (portrait, 640 x 855")
    assert "a table of about 6 rows and 4 columns" in head
    assert "etector" not in text
    assert [" ".join(line.split()) for line in lines.splitlines()] == truth("receipt_ko.txt")


def test_description_in_korean(models: Models) -> None:
    text = ask_engine(models, "이 그림을 설명해 주세요", "table.png")
    assert text.startswith("이 그림은 문서인 것 같습니다 (가로 방향, 받은 크기 880 x 500 픽셀).")
    assert "Monthly service report" in text


def test_caption_is_short(models: Models) -> None:
    text = ask_engine(models, "Write alt text for this image.", "receipt_ko.png")
    assert text.startswith("This looks like a document. Text: “행복마트 서초점")
    assert len(text) < 250


def test_question_that_the_text_answers(models: Models) -> None:
    assert ask_engine(models, "합계는 얼마인가요?", "receipt_ko.png") == (
        "25,440원\n근거가 된 줄: 합계  25,440원"
    )


@pytest.mark.parametrize(
    "question", ["What colour is the cup?", "Why is the cup empty?", "Who drinks this coffee?"]
)
def test_question_that_it_cannot_know(models: Models, question: str) -> None:
    text = ask_engine(models, question, "photo.jpg")
    assert text.startswith("This engine cannot know that")
    assert text.endswith("install Ollama and run ./download_model.sh.")


def test_no_image(models: Models) -> None:
    assert ask_engine(models, "Hello") == "This engine only works on images. Send an image."
    assert ask_engine(models, "안녕") == "이 엔진은 이미지만 다룹니다. 이미지를 보내 주세요."


def test_a_schema_is_filled(models: Models) -> None:
    schema = {
        "type": "object",
        "properties": {"total": {"type": "number"}, "invoice_number": {"type": "string"}},
    }
    pictures = decode_images([example("receipt_ko.png")], threading.Event())
    intent = parse_intent("Fill in the schema.")
    answer = answer_json(schema, intent, pictures, models, threading.Event())
    assert json.loads(answer) == {"total": 25440, "invoice_number": None}


def test_json_without_a_schema(models: Models) -> None:
    pictures = decode_images([example("receipt_ko.png")], threading.Event())
    answer = answer_json(None, parse_intent("Read it."), pictures, models, threading.Event())
    assert json.loads(answer)["text"].startswith("행복마트 서초점")
