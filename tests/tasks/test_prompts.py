"""The prompts of the tasks."""

import pytest

from app.images.picture import Picture
from app.schemas import DescribeRequest, OcrRequest, Style, TextFormat, VqaRequest
from app.tasks import describe, ocr, vqa
from app.tasks.language import answer_language_instruction

ONE = (Picture(b"", 0, None, 640, 480),)


def test_each_style_asks_for_something_else() -> None:
    asked = {
        describe.plan_calls(DescribeRequest(style=style), ONE, "en")[0][0].text for style in Style
    }
    assert len(asked) == len(Style) == 4
    assert all(text.startswith("Describe this image") for text in asked)


def test_each_format_asks_for_something_else() -> None:
    asked = {ocr.plan_calls(OcrRequest(format=form), ONE, "en")[0][0].text for form in TextFormat}
    assert len(asked) == len(TextFormat)


def test_ocr_reads_what_is_there_in_its_own_language() -> None:
    text = ocr.plan_calls(OcrRequest(), ONE, "en")[0][0].text
    assert "Do not translate" in text and "Answer in" not in text
    assert (
        "The text is in Korean." in ocr.plan_calls(OcrRequest(language="ko"), ONE, "en")[0][0].text
    )


def test_the_users_own_words_are_added() -> None:
    words = "Mind the hats."
    turns = [
        *describe.plan_calls(DescribeRequest(prompt=words), ONE, "en")[0],
        *ocr.plan_calls(OcrRequest(prompt=words), ONE, "en")[0],
        *vqa.plan_calls(VqaRequest(prompt=words, question=["Why?"]), ONE, "en")[0],
    ]
    assert [words in turn.text for turn in turns] == [True] * 3


def test_questions_differ_at_the_end_only() -> None:
    one, two = vqa.plan_calls(VqaRequest(question=["Who?", "Where?"]), ONE, "en")[0]
    assert (one.question, two.question) == (0, 1)
    assert one.text.replace("Who?", "Where?") == two.text
    assert one.text.index("Who?") > len(one.text) // 2


@pytest.mark.parametrize(
    ("language", "written", "default", "said"),
    [
        ("ko", None, "en", "Answer in Korean."),
        ("ko-KR", "What?", "en", "Answer in Korean."),
        ("EN", "뭐예요?", "ko", "Answer in English."),
        (None, "뭐예요?", "en", "Answer in Korean."),
        (None, "これは何ですか", "en", "Answer in Japanese."),
        (None, "这是什么", "en", "Answer in Chinese."),
        (None, "Was ist das?", "ko", "Answer in the language of this message."),
        (None, None, "ko", "Answer in Korean."),
        (None, None, "en", "Answer in English."),
        ("sw", None, "en", "Answer in the language 'sw'."),
    ],
)
def test_language(language: str | None, written: str | None, default: str, said: str) -> None:
    assert answer_language_instruction(language, written, default) == said
