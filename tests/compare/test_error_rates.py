"""Error rates of a reading."""

import pytest

from app.compare.error_rates import ErrorRates


@pytest.mark.parametrize(
    ("read", "written", "cer", "wer"),
    [
        ("합계 25,440원", "합계  25,440원\n", 0, 0),
        ("합계25,440원", "합계 25,440원", 0, 1),
        ("abcd", "abce", 0.25, 1),
        ("", "ab cd", 1, 1),
        ("one two x three", "one two three", 1 / 11, 1 / 3),
        ("Ａ１", "A1", 0, 0),
        ("가", "가", 0, 0),
    ],
)
def test_error_rates(read: str, written: str, cer: float, wer: float) -> None:
    wrong = ErrorRates.measure(read, written)
    assert wrong.cer == pytest.approx(cer)
    assert wrong.wer == pytest.approx(wer)
