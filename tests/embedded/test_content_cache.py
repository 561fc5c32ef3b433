"""Questions about one image share its facts."""

from dataclasses import replace

from app.embedded.models import Models
from tests.embedded.answers.ask import ask_engine


def test_a_second_question_about_a_picture_is_not_read_again(models: Models) -> None:
    first = ask_engine(models, "합계는 얼마인가요?", "receipt_ko.png")
    blind = replace(models, ocr=replace(models.ocr, tesseract=None))
    assert ask_engine(blind, "합계는 얼마인가요?", "receipt_ko.png") == first
    assert ask_engine(blind, "합계는 얼마인가요?", "table.png") != first
