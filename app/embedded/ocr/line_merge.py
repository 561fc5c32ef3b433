"""One line of text, out of what the two readers make of it.

Tesseract is the one that knows Hangul; PP-OCR is the better one at all else, digits above all.
So a line with Hangul is cut where Hangul begins and ends, and PP-OCR reads each piece between
anew: alone, "Wi-Fi" is read better than in the middle of Hangul.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from app.embedded.images.pixels import Pixels
from app.embedded.ocr.glyph_spacing import Ink, ink
from app.embedded.ocr.ppocr import Char, Reading
from app.embedded.ocr.tesseract import Symbol, is_hangul

# Below it PP-OCR's line may be Hangul read as something else ("카드번호" -> "三立", .45).
SURE = 0.93
# Tesseract's score of a symbol: Hangul comes to 0.65 and more, other letters that it takes for
# Hangul to 0.4 and less.
HANGUL_SCORE = 0.5
# PP-OCR's score of a piece beside Hangul, above which it is taken over Tesseract's.
PIECE_SCORE = 0.7
PUNCTUATION = set(".,!?:;()[]\"'~…·")
# Gaps in heights of the ink. Latin letters and digits of one word are up to 0.5 apart (beside
# "1" and ","), a space is 0.6 and more; from WIDE on, two spaces keep columns apart.
LATIN_SPACE = 0.55
MIXED_SPACE, ONE_SPACE = 0.26, 0.32  # between Hangul and the rest; beside a "1"
WIDE_SPACE = 1.8

Read = Callable[[Pixels], Reading]


@dataclass(frozen=True, slots=True)
class LineText:
    """What a line says, and how sure that is, 0 to 1: on the average, and of its least sure
    digit (a wrong one is not seen in the average, and no word tells it)."""

    text: str
    score: float
    digit: float = 1.0

    @property
    def confidence(self) -> float:
        return min(self.score, self.digit)


def doubtful(reading: Reading, written: Ink) -> bool:
    """Whether PP-OCR's reading may be missing something or be Hangul read wrong."""
    return reading.score < SURE or written.unread(reading.chars)


def plain(reading: Reading, written: Ink) -> LineText:
    """PP-OCR's own line, with the spaces that it dropped ("2024-03-1714:32")."""
    text = ""
    previous: Char | None = None
    for char in reading.chars:
        if not char.text.strip():
            text += " "
            continue
        # Only between Latin letters and digits: full-width punctuation has its own gap.
        if previous is not None and char.text.isascii() and previous.text.isascii():
            gap = written.gap(previous.x, char.x)
            text = text.rstrip() + _space(gap, 0.0 if text.endswith(" ") else LATIN_SPACE)
        text += char.text
        previous = char
    digits = [char.score for char in reading.chars if char.text.isdigit()]
    return LineText(text.strip(), reading.score, min(digits, default=1.0))


def merged(
    line: Pixels,
    reading: Reading,
    symbols: Sequence[Symbol],
    written: Ink,
    read: Read,
    *,
    space: float | None = None,
) -> LineText:
    """The line out of both readings; PP-OCR's alone where Tesseract saw no Hangul.

    Args:
        read: PP-OCR's recogniser, for the pieces that are not Hangul.
        space: the page's least gap that is a space between Hangul, in heights of the ink; None:
            the line's own gaps tell.
    """
    symbols = [symbol for symbol in symbols if not _misread(symbol, reading, written)]
    if not any(map(_surely_hangul, symbols)) or _ideographs(reading):
        return plain(reading, written)
    pieces = _pieces(symbols)
    starts = [0.0, *(_border(before[-1], piece[0], written) for before, piece in pairwise(pieces))]
    text, scores, digit = "", list[float](), 1.0
    for number, (piece, start, end) in enumerate(
        zip(pieces, starts, [*starts[1:], 1.0], strict=True)
    ):
        if number:
            before, first = pieces[number - 1][-1], piece[0]
            narrow = "1" in (before.text, first.text)
            text += _space(_gap(before, first, written), ONE_SPACE if narrow else MIXED_SPACE)
        if _surely_hangul(piece[0]):
            said, score = _hangul(piece, written, space or written.hangul_space), _score(piece)
        else:
            said, score = _other(line, piece, start, end, read)
        text += said
        scores += [score] * len(piece)
        digit = min(digit, score) if any(map(str.isdigit, said)) else digit
    return LineText(text.strip(), sum(scores) / len(scores), digit)


def _surely_hangul(symbol: Symbol) -> bool:
    return is_hangul(symbol.text[0]) and symbol.score >= HANGUL_SCORE


def _misread(symbol: Symbol, reading: Reading, written: Ink) -> bool:
    """Whether Tesseract took Latin letters, which PP-OCR read there, for one of Hangul."""
    if not _surely_hangul(symbol) or symbol.score > 0.8:
        return False
    place = symbol.left, symbol.left + 0.8 * written.height
    return any(
        char.text.isascii() and char.text.isalpha() and char.score > PIECE_SCORE
        for char in reading.chars
        if place[0] <= char.x <= place[1]
    )


def _pieces(symbols: Sequence[Symbol]) -> list[tuple[Symbol, ...]]:
    """Hangul and other pieces in turn; punctuation after Hangul goes with it."""
    pieces: list[list[Symbol]] = []
    for symbol in symbols:
        hangul = bool(pieces) and _surely_hangul(pieces[-1][0])
        mark = hangul and symbol.text in PUNCTUATION and symbol.score >= HANGUL_SCORE
        if pieces and hangul == (_surely_hangul(symbol) or mark):
            pieces[-1].append(symbol)
        else:
            pieces.append([symbol])
    return [tuple(piece) for piece in pieces]


def _ideographs(reading: Reading) -> bool:
    """A sure reading with three or more kana or ideographs is Japanese or Chinese."""
    scores = [char.score for char in reading.chars if "぀" <= char.text <= "鿿"]
    return len(scores) > 2 and sum(scores) / len(scores) > 0.9


def hangul_gaps(symbols: Sequence[Symbol], written: Ink) -> list[float]:
    """The gaps between neighbouring syllables, in heights of the ink."""
    return [
        _gap(before, symbol, written)
        for before, symbol in pairwise(symbols)
        if _surely_hangul(before) and _surely_hangul(symbol)
    ]


def _hangul(piece: Sequence[Symbol], written: Ink, least: float) -> str:
    """Hangul with spaces at the gaps: Tesseract's own stand after many a syllable."""
    text = piece[0].text
    for before, symbol in pairwise(piece):
        text += _space(_gap(before, symbol, written), least) + symbol.text
    return text


def _other(
    line: Pixels, piece: Sequence[Symbol], start: float, end: float, read: Read
) -> tuple[str, float]:
    """A piece that is not Hangul, and its score; the line's share from `start` to `end`."""
    text = "".join(symbol.text for symbol in piece)
    score = _score(piece)
    if set(text) <= PUNCTUATION:
        return text, score
    width = line.shape[1]
    left = round(start * width)
    picture = line[:, left : max(left + 2, round(end * width))]
    margin = line.shape[0] // 3  # without one, PP-OCR drops the first and the last letter
    picture = np.asarray(
        cv2.copyMakeBorder(picture, 0, 0, margin, margin, cv2.BORDER_REPLICATE), dtype=np.uint8
    )
    reading = read(picture)
    if reading.text.isascii() and reading.text and reading.score > min(PIECE_SCORE, score):
        return plain(reading, ink(picture)).text, reading.score
    return text, score


def _score(piece: Sequence[Symbol]) -> float:
    return sum(symbol.score for symbol in piece) / len(piece)


def _gap(before: Symbol, symbol: Symbol, written: Ink) -> float:
    return written.gap(before.left, symbol.left + 0.2 * written.height)


def _border(before: Symbol, symbol: Symbol, written: Ink) -> float:
    """Where to cut between Hangul and what is not, as a share of the width. Tesseract's places
    of Hangul can be relied on, those of other letters not."""
    if _surely_hangul(symbol):
        return written.before_hangul(symbol.left)
    return written.after_hangul(before.left, is_hangul(before.text[0]), symbol.left)


def _space(gap: float, least: float) -> str:
    """The white space for a gap, both in heights of the ink."""
    if gap >= WIDE_SPACE:
        return "  "
    return " " if gap >= least else ""
