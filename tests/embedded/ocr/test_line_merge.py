"""Merging the readings of two models, without the models."""

from app.embedded.images.pixels import Pixels
from app.embedded.ocr.glyph_spacing import measure_spacing
from app.embedded.ocr.line_merge import merge_readings, needs_tesseract, restore_spaces
from app.embedded.ocr.ppocr import Char, Recognition
from app.embedded.ocr.tesseract import Symbol
from tests.embedded.ocr.drawn_lines import drawn_line


def reading(text: str, *places: float, score: float = 0.99) -> Recognition:
    return Recognition(tuple(Char(c, x, score) for c, x in zip(text, places, strict=True)))


def symbols(text: str, *lefts: float, score: float = 0.93) -> list[Symbol]:
    return [Symbol(c, x, score) for c, x in zip(text, lefts, strict=True)]


def unexpected(_line: Pixels) -> Recognition:
    raise AssertionError("recognised again")


def test_a_lost_space_is_put_back() -> None:
    """Between Latin letters: "1714:32" in a date."""
    found = measure_spacing(drawn_line((0, 15), (20, 35), (60, 75), (80, 95)))
    assert restore_spaces(reading("1714", 0.02, 0.07, 0.17, 0.22), found).text == "17 14"


def test_a_gap_beside_a_one_is_no_space() -> None:
    found = measure_spacing(drawn_line((0, 15), (28, 32), (45, 60)))
    assert restore_spaces(reading("215", 0.02, 0.075, 0.13), found).text == "215"


def test_full_width_punctuation_brings_its_gap() -> None:
    found = measure_spacing(drawn_line((0, 28), (30, 36), (60, 88)))
    assert restore_spaces(reading("今、日", 0.035, 0.08, 0.185), found).text == "今、日"


def test_a_missing_suffix_is_seen() -> None:
    """ "원" has ink, and PP-OCR has no character there."""
    with_suffix = measure_spacing(drawn_line((0, 15), (20, 35), (40, 68), width=70))
    without = measure_spacing(drawn_line((0, 15), (20, 35), width=37))
    assert needs_tesseract(reading("21", 0.1, 0.39), with_suffix)
    assert not needs_tesseract(reading("21", 0.2, 0.74), without)


def test_an_uncertain_reading_needs_tesseract() -> None:
    assert needs_tesseract(
        reading("21", 0.2, 0.74, score=0.8),
        measure_spacing(drawn_line((0, 15), (20, 35), width=37)),
    )


def test_hangul_with_its_spaces() -> None:
    """Tesseract's own spaces are ignored: it writes many spaces after syllables."""
    page = drawn_line((0, 27), (30, 57), (70, 97), (100, 127))
    korean = symbols("오늘오후", 0, 0.075, 0.175, 0.25)
    found = merge_readings(page, reading(""), korean, measure_spacing(page), unexpected)
    assert found.text == "오늘 오후"


def test_the_rest_of_a_line_is_recognised_again() -> None:
    """Tesseract reads "600", PP-OCR reads "16GB"."""
    page = drawn_line((0, 27), (45, 60), (62, 77), (79, 94), (105, 132))
    korean = [
        *symbols("약", 0.0),
        *symbols("600", 0.115, 0.155, 0.2, score=0.4),
        *symbols("를", 0.265),
    ]
    seen: list[int] = []

    def read(piece: Pixels) -> Recognition:
        seen.append(piece.shape[1])
        return reading("16GB", 0.2, 0.4, 0.6, 0.8)

    assert (
        merge_readings(page, reading("6", 0.17), korean, measure_spacing(page), read).text
        == "약 16GB 를"
    )
    assert len(seen) == 1


def test_letters_are_not_hangul() -> None:
    """Tesseract misread "Ch" as a syllable, where PP-OCR read both letters."""
    page = drawn_line((0, 15), (17, 32))
    found = merge_readings(
        page,
        reading("Ch", 0.02, 0.06),
        symbols("다", 0.0, score=0.6),
        measure_spacing(page),
        unexpected,
    )
    assert found.text == "Ch"


def test_japanese_stays() -> None:
    page = drawn_line((0, 27), (30, 57), (60, 87))
    found = merge_readings(
        page,
        reading("日本語", 0.03, 0.1, 0.18),
        symbols("민", 0.0),
        measure_spacing(page),
        unexpected,
    )
    assert found.text == "日本語"


def test_the_pages_space_decides() -> None:
    page = drawn_line((0, 27), (34, 61))
    korean = symbols("오늘", 0, 0.085)
    assert (
        merge_readings(
            page, reading(""), korean, measure_spacing(page), unexpected, space_threshold=0.2
        ).text
        == "오 늘"
    )
    assert (
        merge_readings(
            page, reading(""), korean, measure_spacing(page), unexpected, space_threshold=0.3
        ).text
        == "오늘"
    )
