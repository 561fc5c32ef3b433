"""Merges the readings of PP-OCR and Tesseract into one line of text.

Only Tesseract knows Hangul. PP-OCR is better at everything else, above all at digits. A line with
Hangul is cut where Hangul begins and ends, and PP-OCR reads the other pieces again: it reads
"Wi-Fi" better alone than between Hangul.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from app.embedded.images.pixels import Pixels
from app.embedded.ocr.glyph_spacing import GlyphSpacing, measure_spacing
from app.embedded.ocr.ppocr import Char, Recognition
from app.embedded.ocr.tesseract import Symbol, is_hangul

# Below this score, PP-OCR may have misread Hangul ("카드번호" -> "三立", 0.45).
CONFIDENT_SCORE = 0.93
# Tesseract's score of a symbol: Hangul has 0.65 and more, other letters misread as Hangul have 0.4
# and less.
HANGUL_SCORE = 0.5
# Above this score, PP-OCR's reading of a piece replaces Tesseract's.
PIECE_SCORE = 0.7
PUNCTUATION = set(".,!?:;()[]\"'~…·")
# Gaps in ink heights. Gaps inside a Latin word are up to 0.5 (beside "1" and ","), a space is 0.6
# and more. From WIDE_SPACE on, two spaces separate columns.
LATIN_SPACE = 0.55
MIXED_SPACE, ONE_SPACE = 0.26, 0.32  # between Hangul and other characters; beside a "1"
WIDE_SPACE = 1.8

Recognise = Callable[[Pixels], Recognition]


@dataclass(frozen=True, slots=True)
class LineText:
    """The text of a line with its mean score and the lowest score of its digits, 0 to 1.

    A wrong digit hardly changes the mean, and no dictionary reveals it.
    """

    text: str
    score: float
    min_digit_score: float = 1.0

    @property
    def confidence(self) -> float:
        return min(self.score, self.min_digit_score)


def needs_tesseract(reading: Recognition, spacing: GlyphSpacing) -> bool:
    """Whether PP-OCR's reading may miss characters or be misread Hangul."""
    return reading.score < CONFIDENT_SCORE or spacing.has_unread_ink(reading.chars)


def restore_spaces(reading: Recognition, spacing: GlyphSpacing) -> LineText:
    """PP-OCR's line with the spaces that it dropped ("2024-03-1714:32")."""
    text = ""
    previous: Char | None = None
    for char in reading.chars:
        if not char.text.strip():
            text += " "
            continue
        # Only between ASCII characters: full-width punctuation contains a gap.
        if previous is not None and char.text.isascii() and previous.text.isascii():
            gap = spacing.widest_gap(previous.x, char.x)
            text = text.rstrip() + _whitespace(gap, 0.0 if text.endswith(" ") else LATIN_SPACE)
        text += char.text
        previous = char
    digits = [char.score for char in reading.chars if char.text.isdigit()]
    return LineText(text.strip(), reading.score, min(digits, default=1.0))


def merge_readings(
    line: Pixels,
    reading: Recognition,
    symbols: Sequence[Symbol],
    spacing: GlyphSpacing,
    recognise: Recognise,
    *,
    space_threshold: float | None = None,
) -> LineText:
    """Merges both readings. Returns PP-OCR's if Tesseract found no Hangul.

    Args:
        recognise: PP-OCR's recogniser, for the pieces that are not Hangul.
        space_threshold: the page's smallest gap that is a space between Hangul, in ink heights;
            None: estimated from the line.
    """
    symbols = [symbol for symbol in symbols if not _is_misread_latin(symbol, reading, spacing)]
    if not any(map(_is_confident_hangul, symbols)) or _is_cjk(reading):
        return restore_spaces(reading, spacing)
    pieces = _split_scripts(symbols)
    starts = [
        0.0,
        *(_cut_position(before[-1], piece[0], spacing) for before, piece in pairwise(pieces)),
    ]
    text, scores, min_digit_score = "", list[float](), 1.0
    for number, (piece, start, end) in enumerate(
        zip(pieces, starts, [*starts[1:], 1.0], strict=True)
    ):
        if number:
            before, first = pieces[number - 1][-1], piece[0]
            narrow = "1" in (before.text, first.text)
            text += _whitespace(_gap(before, first, spacing), ONE_SPACE if narrow else MIXED_SPACE)
        if _is_confident_hangul(piece[0]):
            piece_text, score = (
                _join_hangul(piece, spacing, space_threshold or spacing.hangul_space_threshold),
                _mean_score(piece),
            )
        else:
            piece_text, score = _read_non_hangul(line, piece, start, end, recognise)
        text += piece_text
        scores += [score] * len(piece)
        min_digit_score = (
            min(min_digit_score, score) if any(map(str.isdigit, piece_text)) else min_digit_score
        )
    return LineText(text.strip(), sum(scores) / len(scores), min_digit_score)


def _is_confident_hangul(symbol: Symbol) -> bool:
    return is_hangul(symbol.text[0]) and symbol.score >= HANGUL_SCORE


def _is_misread_latin(symbol: Symbol, reading: Recognition, spacing: GlyphSpacing) -> bool:
    """Whether Tesseract misread Latin letters, which PP-OCR read there, as Hangul."""
    if not _is_confident_hangul(symbol) or symbol.score > 0.8:
        return False
    place = symbol.left, symbol.left + 0.8 * spacing.height
    return any(
        char.text.isascii() and char.text.isalpha() and char.score > PIECE_SCORE
        for char in reading.chars
        if place[0] <= char.x <= place[1]
    )


def _split_scripts(symbols: Sequence[Symbol]) -> list[tuple[Symbol, ...]]:
    """Alternating pieces of Hangul and others. Punctuation after Hangul belongs to it."""
    pieces: list[list[Symbol]] = []
    for symbol in symbols:
        hangul = bool(pieces) and _is_confident_hangul(pieces[-1][0])
        mark = hangul and symbol.text in PUNCTUATION and symbol.score >= HANGUL_SCORE
        if pieces and hangul == (_is_confident_hangul(symbol) or mark):
            pieces[-1].append(symbol)
        else:
            pieces.append([symbol])
    return [tuple(piece) for piece in pieces]


def _is_cjk(reading: Recognition) -> bool:
    """Whether a confident reading has three or more kana or ideographs (Japanese or Chinese)."""
    scores = [char.score for char in reading.chars if "぀" <= char.text <= "鿿"]
    return len(scores) > 2 and sum(scores) / len(scores) > 0.9


def hangul_gaps(symbols: Sequence[Symbol], spacing: GlyphSpacing) -> list[float]:
    """The gaps between neighbouring Hangul syllables, in ink heights."""
    return [
        _gap(before, symbol, spacing)
        for before, symbol in pairwise(symbols)
        if _is_confident_hangul(before) and _is_confident_hangul(symbol)
    ]


def _join_hangul(piece: Sequence[Symbol], spacing: GlyphSpacing, threshold: float) -> str:
    """Joins Hangul with spaces at wide gaps. Tesseract's own spaces are unreliable."""
    text = piece[0].text
    for before, symbol in pairwise(piece):
        text += _whitespace(_gap(before, symbol, spacing), threshold) + symbol.text
    return text


def _read_non_hangul(
    line: Pixels, piece: Sequence[Symbol], start: float, end: float, recognise: Recognise
) -> tuple[str, float]:
    """Text and score of a piece that is not Hangul, from `start` to `end` (shares of the width)."""
    text = "".join(symbol.text for symbol in piece)
    score = _mean_score(piece)
    if set(text) <= PUNCTUATION:
        return text, score
    width = line.shape[1]
    left = round(start * width)
    picture = line[:, left : max(left + 2, round(end * width))]
    margin = line.shape[0] // 3  # without a margin, PP-OCR drops the first and the last letter
    picture = np.asarray(
        cv2.copyMakeBorder(picture, 0, 0, margin, margin, cv2.BORDER_REPLICATE), dtype=np.uint8
    )
    reading = recognise(picture)
    if reading.text.isascii() and reading.text and reading.score > min(PIECE_SCORE, score):
        return restore_spaces(reading, measure_spacing(picture)).text, reading.score
    return text, score


def _mean_score(piece: Sequence[Symbol]) -> float:
    return sum(symbol.score for symbol in piece) / len(piece)


def _gap(before: Symbol, symbol: Symbol, spacing: GlyphSpacing) -> float:
    return spacing.widest_gap(before.left, symbol.left + 0.2 * spacing.height)


def _cut_position(before: Symbol, symbol: Symbol, spacing: GlyphSpacing) -> float:
    """Where to cut between Hangul and other characters, as a share of the width.

    Tesseract's positions are reliable for Hangul only.
    """
    if _is_confident_hangul(symbol):
        return spacing.cut_before_hangul(symbol.left)
    return spacing.cut_after_hangul(before.left, is_hangul(before.text[0]), symbol.left)


def _whitespace(gap: float, threshold: float) -> str:
    """The white space for a gap. Both arguments are in ink heights."""
    if gap >= WIDE_SPACE:
        return "  "
    return " " if gap >= threshold else ""
