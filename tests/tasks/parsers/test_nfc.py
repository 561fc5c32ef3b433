"""Answers are NFC, whatever pieces they arrive in."""

import unicodedata

import pytest

from app.tasks.parsers.base import AnswerParser, AnswerPart
from app.tasks.parsers.nfc import NfcNormalizer

SAID = "한국어 영수증 café Å 가각갂 ASCII ᄀ"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_hangul_in_pieces_is_composed(size: int) -> None:
    hangul = "한국어 영수증 가각갂 끝"
    parts = unicodedata.normalize("NFD", hangul)
    composer = NfcNormalizer()
    pieces = [parts[at : at + size] for at in range(0, len(parts), size)]
    assert "".join([*map(composer.feed, pieces), composer.finish()]) == hangul


def test_an_answer_is_composed() -> None:
    part = AnswerPart(AnswerParser())
    said = part.feed(unicodedata.normalize("NFD", SAID)) + part.finish()
    assert said == part.text == SAID


def test_what_is_composed_comes_at_once() -> None:
    composer = NfcNormalizer()
    assert [composer.feed(one) for one in ("안녕", " hello", "하세요")] == [
        "안녕",
        " hello",
        "하세요",
    ]
