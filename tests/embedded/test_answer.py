"""What is asked, and what may be said to it."""

import json
import re
import threading
from dataclasses import replace

import pytest

from app.embedded.answers import key_value as labelled
from app.embedded.answers.answer import answer, structured
from app.embedded.answers.intent import Intent, Kind, understand
from app.embedded.images.decode import decode_images
from app.embedded.models import Models
from tests.embedded.pictures import example, truth

VQA = (
    "Answer the question from what can be seen in the image. Be short and exact. If the image does "
    "not show it, say so.\nQuestion: {question}\nAnswer in {language}."
)


@pytest.mark.parametrize(
    ("message", "kind", "korean"),
    [
        ("Transcribe all text in this image. Do not explain or describe.", Kind.READ, False),
        ("OCR this", Kind.READ, False),
        ("Please extract all the text", Kind.READ, False),
        ("What does the sign say?", Kind.READ, False),
        ("이 영수증을 읽어 주세요", Kind.READ, True),
        ("여기 뭐라고 쓰여 있어?", Kind.READ, True),
        ("Read the text.\nAnswer in Korean.", Kind.READ, True),
        ("Describe this image, and any text that can be read.", Kind.DESCRIBE, False),
        ("Write alt text.", Kind.CAPTION, False),
        ("Describe this image in one short caption.", Kind.CAPTION, False),
        ('Spot the text: [{"bbox_2d": [1, 2, 3, 4]}]', Kind.SPOT, False),
        ("Read the QR code", Kind.ASK, False),
        ("이미지를 설명해 주세요.", Kind.DESCRIBE, True),
        ("Describe this image.\nAnswer in Korean.", Kind.DESCRIBE, True),
        ("설명해 줘\nAnswer in English.", Kind.DESCRIBE, False),
        ("Describe it.\nAnswer in the language of this message.", Kind.DESCRIBE, False),
        ("", Kind.DESCRIBE, False),
        ("hello there", Kind.DESCRIBE, False),
        ("What is the total?", Kind.ASK, False),
        ("How many people are there", Kind.ASK, False),
        ("합계는 얼마인가요?", Kind.ASK, True),
    ],
)
def test_intent(message: str, kind: Kind, korean: bool) -> None:
    found = understand(message)
    assert (found.kind, found.korean) == (kind, korean)


@pytest.mark.parametrize(
    ("question", "language", "expected"),
    [
        ("What is shown?", "English", Intent(Kind.ASK, False, "What is shown?")),
        ("합계는?", "Korean", Intent(Kind.ASK, True, "합계는?")),
        ("Colour of the cup", "English", Intent(Kind.ASK, False, "Colour of the cup")),
        ("Can you read the text?", "English", Intent(Kind.READ, False)),
    ],
)
def test_intent_of_a_labelled_question(question: str, language: str, expected: Intent) -> None:
    assert understand(VQA.format(question=question, language=language)) == expected


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("합계는 얼마인가요?", "25,440원"),
        ("What is the total?", "25,440원"),
        ("부가세가 얼마야?", "2,313"),
        ("승인번호 알려줘", "30012345"),
        ("전화번호가 뭐예요?", "02-555-0123"),
        ("What is the phone number?", "02-555-0123"),
        ("날짜가 언제인가요?", "2026-03-17 14:32"),
        ("When was this bought?", "2026-03-17 14:32"),
        ("가게 이름이 뭐예요?", "행복마트 서초점"),
        ("What is the name of the shop?", "행복마트 서초점"),
        ("바나나 단가는?", "3,480"),
    ],
)
def test_the_receipt_answers(question: str, value: str) -> None:
    lines = receipt()
    found = labelled.find(question, lines)
    assert found is not None
    assert found.answer == value


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("How many errors were there in March?", "1,045"),
        ("What was the latency in May?", "186 ms"),
        ("What is the total of requests?", "8,055,120"),
    ],
)
def test_the_table_answers(question: str, value: str) -> None:
    found = labelled.find(question, table())
    assert found is not None
    assert found.answer == value


@pytest.mark.parametrize(
    "question",
    [
        "What colour is the cup?",
        "How many people are there?",
        "Is the shop open?",
        "What brand is the phone?",
        "매장에 사람이 몇 명 있나요?",
        "이 사진은 어디에서 찍었나요?",
    ],
)
def test_nothing_is_guessed(question: str) -> None:
    assert labelled.find(question, [*table(), "A cup of coffee  4.50"]) is None


def test_two_values_are_no_answer() -> None:
    assert labelled.find("What is the total?", ["Total  5", "Grand total  7"]) is None


def receipt() -> list[str]:
    return (example("receipt_ko.txt")).decode().splitlines()


def table() -> list[str]:
    return (example("table.txt")).decode().splitlines()


def say(models: Models, message: str, *names: str) -> str:
    pictures = decode_images([example(name) for name in names], threading.Event())
    return "".join(answer(understand(message), pictures, models, threading.Event()))


def test_reading_adds_nothing(models: Models) -> None:
    text = say(models, "Read this.", "table.png")
    assert [" ".join(line.split()) for line in text.splitlines()] == truth("table.txt")
    assert say(models, "Read this.", "photo.jpg") == ""


def test_description(models: Models) -> None:
    """The kind, what was measured, what is claimed, what is not, and the text."""
    text = say(models, "Describe this image.", "photo.jpg")
    assert text.startswith("This looks like a photo (landscape, 600 x 400 pixels as received).")
    assert re.search(r"Main colours: brown \d+%", text)
    assert re.search(r"Classifier of the whole picture: espresso \(coffee\) 0\.9\d\.", text)
    assert re.search(r"0\.60, so not claimed: dining table 0\.[45]\d", text)
    assert "No text was found in it." in text
    assert text.endswith("this engine cannot know.")


def test_description_of_a_document(models: Models) -> None:
    """The networks know photos alone: they are not asked about a page."""
    text = say(models, "Describe this image.", "receipt_ko.png")
    head, lines = text.split("\n", 1)
    assert head.startswith("This looks like a document (portrait, 640 x 855")
    assert "a table of about 6 rows and 4 columns" in head
    assert "etector" not in text
    assert [" ".join(line.split()) for line in lines.splitlines()] == truth("receipt_ko.txt")


def test_description_in_korean(models: Models) -> None:
    text = say(models, "이 그림을 설명해 주세요", "table.png")
    assert text.startswith("이 그림은 문서인 것 같습니다 (가로 방향, 받은 크기 880 x 500 픽셀).")
    assert "Monthly service report" in text


def test_caption_is_short(models: Models) -> None:
    text = say(models, "Write alt text for this image.", "receipt_ko.png")
    assert text.startswith("This looks like a document. Text: “행복마트 서초점")
    assert len(text) < 250


def test_question_that_the_text_answers(models: Models) -> None:
    assert say(models, "합계는 얼마인가요?", "receipt_ko.png") == (
        "25,440원\n근거가 된 줄: 합계  25,440원"
    )


@pytest.mark.parametrize(
    "question", ["What colour is the cup?", "Why is the cup empty?", "Who drinks this coffee?"]
)
def test_question_that_it_cannot_know(models: Models, question: str) -> None:
    text = say(models, question, "photo.jpg")
    assert text.startswith("This engine cannot know that")
    assert text.endswith("install Ollama and run ./download_model.sh.")


def test_no_image(models: Models) -> None:
    assert say(models, "Hello") == "This engine only works on images; send it one."
    assert say(models, "안녕") == "이 엔진은 이미지만 다룹니다. 이미지를 보내 주세요."


def test_boxes_of_lines(models: Models) -> None:
    """As Qwen3-VL writes them, in thousandths."""
    ask = '"bbox_2d": [x1, y1, x2, y2], "text_content": "..."'
    lines = json.loads(say(models, ask, "table.png"))
    assert [" ".join(line["text_content"].split()) for line in lines] == truth("table.txt")
    boxes = [line["bbox_2d"] for line in lines]
    assert all(0 <= left < right <= 1000 and top < bottom for left, top, right, bottom in boxes)
    assert [box[1] for box in boxes] == sorted(box[1] for box in boxes)


def test_a_schema_is_filled(models: Models) -> None:
    schema = {
        "type": "object",
        "properties": {"total": {"type": "number"}, "invoice_number": {"type": "string"}},
    }
    pictures = decode_images([example("receipt_ko.png")], threading.Event())
    intent = understand("Fill in the schema.")
    said = structured(schema, intent, pictures, models, threading.Event())
    assert json.loads(said) == {"total": 25440, "invoice_number": None}


def test_json_without_a_schema(models: Models) -> None:
    pictures = decode_images([example("receipt_ko.png")], threading.Event())
    said = structured(None, understand("Read it."), pictures, models, threading.Event())
    assert json.loads(said)["text"].startswith("행복마트 서초점")


def test_a_second_question_about_a_picture_is_not_read_again(models: Models) -> None:
    first = say(models, "합계는 얼마인가요?", "receipt_ko.png")
    blind = replace(models, readers=replace(models.readers, hangul=None))
    assert say(blind, "합계는 얼마인가요?", "receipt_ko.png") == first
    assert say(blind, "합계는 얼마인가요?", "table.png") != first
