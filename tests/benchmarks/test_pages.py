"""Decisions about the text layers of generated pages."""

import pytest

from benchmarks.ocr_pages import FontMissing
from benchmarks.pages.__main__ import LEAST_RIGHT, judged
from benchmarks.pages.corpus import FONTS, cases


def test_decisions_are_right_and_no_sound_layer_is_lost() -> None:
    try:
        made = cases([FONTS])
    except FontMissing as error:
        pytest.skip(str(error))
    outcomes = [judged(case) for case in made]
    faults = [one for one in outcomes if one.fault]
    for one in faults:
        print(one.case.kind, one.case.name, one.fault)
    assert len(faults) <= (1 - LEAST_RIGHT) * len(outcomes)
    assert not [one for one in faults if one.case.kind == "sound layers"]
