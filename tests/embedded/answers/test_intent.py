"""The task, question and language of a message."""

import time

import pytest

from app.embedded.answers import key_value
from app.embedded.answers.intent import Intent, Task, parse_intent

VQA = (
    "Answer the question from what can be seen in the image. Be short and exact. If the image does "
    "not show it, say so.\nQuestion: {question}\nAnswer in {language}."
)


@pytest.mark.parametrize(
    ("message", "task", "korean"),
    [
        ("Transcribe all text in this image. Do not explain or describe.", Task.OCR, False),
        ("OCR this", Task.OCR, False),
        ("Please extract all the text", Task.OCR, False),
        ("What does the sign say?", Task.OCR, False),
        ("이 영수증을 읽어 주세요", Task.OCR, True),
        ("여기 뭐라고 쓰여 있어?", Task.OCR, True),
        ("Read the text.\nAnswer in Korean.", Task.OCR, True),
        ("Describe this image, and any text that can be read.", Task.DESCRIBE, False),
        ("Write alt text.", Task.CAPTION, False),
        ("Describe this image in one short caption.", Task.CAPTION, False),
        ('Spot the text: [{"bbox_2d": [1, 2, 3, 4]}]', Task.GROUND, False),
        ("Read the QR code", Task.VQA, False),
        ("이미지를 설명해 주세요.", Task.DESCRIBE, True),
        ("Describe this image.\nAnswer in Korean.", Task.DESCRIBE, True),
        ("설명해 줘\nAnswer in English.", Task.DESCRIBE, False),
        ("Describe it.\nAnswer in the language of this message.", Task.DESCRIBE, False),
        ("", Task.DESCRIBE, False),
        ("hello there", Task.DESCRIBE, False),
        ("What is the total?", Task.VQA, False),
        ("How many people are there", Task.VQA, False),
        ("합계는 얼마인가요?", Task.VQA, True),
    ],
)
def test_intent(message: str, task: Task, korean: bool) -> None:
    found = parse_intent(message)
    assert (found.task, found.korean) == (task, korean)


@pytest.mark.parametrize(
    ("question", "language", "expected"),
    [
        ("What is shown?", "English", Intent(Task.VQA, False, "What is shown?")),
        ("합계는?", "Korean", Intent(Task.VQA, True, "합계는?")),
        ("Colour of the cup", "English", Intent(Task.VQA, False, "Colour of the cup")),
        ("Can you read the text?", "English", Intent(Task.OCR, False)),
    ],
)
def test_intent_of_a_labelled_question(question: str, language: str, expected: Intent) -> None:
    assert parse_intent(VQA.format(question=question, language=language)) == expected


@pytest.mark.parametrize(
    "text", ["\n", " ", "글자", "텍스트추", "what ", "what does ", "read ", "Question: ", "?", "a"]
)
def test_parsing_a_message_takes_linear_time(text: str) -> None:
    """Regular expressions hold the GIL, so that no other request is answered meanwhile."""
    message = (text * 20_000)[:20_000]
    begun = time.process_time()
    parse_intent(message)
    key_value.find_value(message, ["Total: 5"])
    assert time.process_time() - begun < 1  # 0.03 s; the quadratic ones took 2.3 s
