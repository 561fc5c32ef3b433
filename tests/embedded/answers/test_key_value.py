"""Values beside their labels, found in lines of text without the models."""

import pytest

from app.embedded.answers import key_value
from tests.embedded.pictures import example


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
    found = key_value.find_value(question, lines)
    assert found is not None
    assert found.value == value


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("How many errors were there in March?", "1,045"),
        ("What was the latency in May?", "186 ms"),
        ("What is the total of requests?", "8,055,120"),
    ],
)
def test_the_table_answers(question: str, value: str) -> None:
    found = key_value.find_value(question, table())
    assert found is not None
    assert found.value == value


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
    assert key_value.find_value(question, [*table(), "A cup of coffee  4.50"]) is None


def test_two_values_are_no_answer() -> None:
    assert key_value.find_value("What is the total?", ["Total  5", "Grand total  7"]) is None


def receipt() -> list[str]:
    return (example("receipt_ko.txt")).decode().splitlines()


def table() -> list[str]:
    return (example("table.txt")).decode().splitlines()
