"""Gaps between glyphs, measured on drawn lines."""

from app.embedded.ocr.glyph_spacing import GlyphSpacing, measure_spacing, page_space_threshold
from tests.embedded.ocr.drawn_lines import drawn_line


def test_ink() -> None:
    found = measure_spacing(drawn_line((40, 80), (100, 120)))
    assert found == GlyphSpacing(((0.1, 0.2), (0.25, 0.3)), 30 / 400)
    assert abs(found.widest_gap(0, 1) - 20 / 30) < 1e-6


def test_ink_of_light_on_dark() -> None:
    assert measure_spacing(255 - drawn_line((40, 80))) == measure_spacing(drawn_line((40, 80)))


def test_no_ink() -> None:
    blank = measure_spacing(drawn_line())
    assert blank.widest_gap(0, 1) == 0
    assert not blank.has_unread_ink([])


def test_a_pages_own_space() -> None:
    """The spaces of a tight font are as wide as the gaps inside words of another."""
    tight = [0.1, 0.12, 0.14, 0.13, 0.15, 0.11, 0.12, 0.14, 0.26, 0.27, 0.25, 0.28]
    wide = [0.2, 0.24, 0.25, 0.22, 0.26, 0.21, 0.22, 0.24, 0.6, 0.66, 0.62, 0.61]
    in_tight, in_wide = page_space_threshold(tight), page_space_threshold(wide)
    assert in_tight is not None
    assert in_wide is not None
    assert 0.15 < in_tight < 0.25
    assert 0.26 < in_wide < 0.6
    assert page_space_threshold(tight[:5]) is None
    assert page_space_threshold([0.1] * 20) is None
