"""One line of text out of the two readers' readings of it.

Tesseract is the one that knows Hangul; PP-OCR is the better one at all else, digits above all.
So the line is split at spaces and where Hangul begins or ends, and each part is taken from the
reader that is better at it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from app.embedded.hangul import Symbol, is_hangul
from app.embedded.ink import HANGUL_SPACE, LATIN_SPACE, MIXED_SPACE, WIDE_SPACE, Ink
from app.embedded.ppocr import Char, Reading

# Below it PP-OCR's line may be Hangul read as something else ("카드번호" -> "三立", .45).
SURE = 0.93
# Tesseract's score, below which its Hangul is a guess at a picture or another script.
HANGUL_SCORE = 0.55


@dataclass(frozen=True, slots=True)
class LineText:
    """What a line says, how sure that is (0 to 1), and whether Hangul was read in it."""

    text: str
    score: float
    hangul: bool = False


@dataclass(frozen=True, slots=True)
class _Part:
    """Neighbouring symbols without a space between, all Hangul or none of them."""

    symbols: tuple[Symbol, ...]
    gap: str  # the white space before it
    end: float  # where the next part begins

    @property
    def text(self) -> str:
        return "".join(symbol.text for symbol in self.symbols)

    @property
    def score(self) -> float:
        return sum(symbol.score for symbol in self.symbols) / len(self.symbols)

    @property
    def hangul(self) -> bool:
        return is_hangul(self.symbols[0].text[0])


def doubtful(reading: Reading, ink: Ink) -> bool:
    """Whether PP-OCR's reading may be missing something or be Hangul read wrong."""
    return reading.score < SURE or ink.unread(reading.chars)


def plain(reading: Reading, ink: Ink) -> LineText:
    """PP-OCR's own line, with the spaces that it dropped ("2024-03-1714:32")."""
    text = ""
    previous: Char | None = None
    for char in reading.chars:
        if not char.text.strip():
            text += " "
            continue
        if previous is not None:
            written = text.endswith(" ")
            # Only between Latin letters and digits: full-width punctuation has its own gap.
            if char.text.isascii() and previous.text.isascii():
                gap = ink.gap(previous.x, char.x)
                text = text.rstrip() + _space(gap, 0.0 if written else LATIN_SPACE)
        text += char.text
        previous = char
    return LineText(text.strip(), reading.score)


def merged(reading: Reading, symbols: Sequence[Symbol], ink: Ink) -> LineText:
    """The line out of both readings; PP-OCR's alone where Tesseract saw no Hangul."""
    hangul = [symbol for symbol in symbols if is_hangul(symbol.text[0])]
    sure = sum(symbol.score for symbol in hangul) / len(hangul) if hangul else 0.0
    if sure < HANGUL_SCORE or _ideographs(reading):
        return plain(reading, ink)
    text, scores = "", []
    for part in _parts(symbols, ink):
        chars = [c for c in reading.chars if part.symbols[0].left <= c.x < part.end]
        latin = "".join(char.text for char in chars).strip()
        mine = sum(char.score for char in chars) / len(chars) if chars else 0.0
        better = _latin_wins(part, latin, mine)
        text += part.gap + (latin if better else part.text)
        scores.append(mine if better else part.score)
    return LineText(text.strip(), sum(scores) / len(scores), hangul=True)


def _ideographs(reading: Reading) -> bool:
    """A sure reading with three or more kana or ideographs is Japanese or Chinese."""
    count = sum("぀" <= char.text <= "鿿" for char in reading.chars)
    return reading.score > 0.9 and count > 2


def _latin_wins(part: _Part, latin: str, score: float) -> bool:
    if not latin or not latin.isascii():
        return False
    if part.hangul:  # an English word that Tesseract took for Hangul
        return (
            score > 0.9
            and part.score < 0.9
            and len(latin) > len(part.text)
            and any(map(str.isalpha, latin))
        )
    if len(latin) >= len(part.text):
        return score > 0.7 or score > part.score
    return score > 0.95 and part.score < 0.7


def _space(gap: float, least: float) -> str:
    """The white space for a gap, both in heights of the ink."""
    if gap >= WIDE_SPACE:
        return "  "
    return " " if gap >= least else ""


def _parts(symbols: Sequence[Symbol], ink: Ink) -> list[_Part]:
    starts = [0]
    gaps = [""]
    for index, (before, symbol) in enumerate(pairwise(symbols), 1):
        sides = is_hangul(before.text[0]) + is_hangul(symbol.text[0])
        # Tesseract often writes a space after every syllable, and few elsewhere.
        least = (LATIN_SPACE, MIXED_SPACE, HANGUL_SPACE)[sides]
        gap = ink.gap(before.left, symbol.left + 0.2 * ink.height)
        space = _space(gap, min(least, HANGUL_SPACE) if symbol.spaced else least)
        if space or sides == 1:
            starts.append(index)
            gaps.append(space)
    ends = [*starts[1:], len(symbols)]
    return [
        _Part(
            symbols=tuple(symbols[start:end]),
            gap=gap,
            end=symbols[end].left if end < len(symbols) else 1.01,
        )
        for start, end, gap in zip(starts, ends, gaps, strict=True)
    ]
