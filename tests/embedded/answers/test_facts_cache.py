"""Questions about one image share its facts."""

from dataclasses import replace

from app.embedded.models import Models
from tests.embedded.answers.ask import say


def test_a_second_question_about_a_picture_is_not_read_again(models: Models) -> None:
    first = say(models, "합계는 얼마인가요?", "receipt_ko.png")
    blind = replace(models, readers=replace(models.readers, hangul=None))
    assert say(blind, "합계는 얼마인가요?", "receipt_ko.png") == first
    assert say(blind, "합계는 얼마인가요?", "table.png") != first
