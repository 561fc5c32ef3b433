"""What a message asks for."""

import time

import pytest

from app.embedded.answers import key_value as labelled
from app.embedded.answers.intent import Intent, Kind, understand

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
    "text", ["\n", " ", "글자", "텍스트추", "what ", "what does ", "read ", "Question: ", "?", "a"]
)
def test_understanding_a_message_is_linear(text: str) -> None:
    """Regular expressions hold the interpreter lock: nobody else is answered meanwhile."""
    message = (text * 20_000)[:20_000]
    begun = time.process_time()
    understand(message)
    labelled.find(message, ["Total: 5"])
    assert time.process_time() - begun < 1  # 0.03 s; the quadratic ones took 2.3 s
