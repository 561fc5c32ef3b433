"""Medians, ratios and error rates of a report."""

from pathlib import Path

import pytest

from tests.compare.made import report


def test_medians_and_ratios(tmp_path: Path) -> None:
    made = report(tmp_path / "none.png", "합계 100원", "합계 700원")
    first, second = made.models
    assert (first.total_s, second.total_s) == (2, 4)
    assert second.speedup_over(first) == 0.5
    assert first.error_rates and first.error_rates.cer == 0
    assert second.error_rates and second.error_rates.wer == 0.5
    told = made.to_dict()["models"][1]
    assert told["median"]["total_s"] == 4
    assert told["median"]["cer"] == pytest.approx(1 / 6, abs=1e-4)
    assert [run["total_s"] for run in told["questions"][0]["runs"]] == [2, 6, 4]
