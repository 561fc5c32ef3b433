"""Checks whether the characters of a text layer can be text of a language.

A font may claim Unicode that differs from what it draws: shifted, swapped or ciphered codes, or
private-use code points. The claimed text is then not text of any language. Most cases need no
dictionary: the national character sets define which ideographs and syllables are common, and one
line per script lists its letters by frequency.
"""

import itertools
import re
import unicodedata
from collections.abc import Container, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from math import log2

from app.images.pdf.language_tables import COMMON, PAIRS, PAIRS_JA, PAIRS_KO


class Verdict(Enum):
    """Whether a text can be text of a language."""

    SOUND = "text of a language"
    BROKEN = "text of no language"
    DOUBT = "too little or too odd to tell"


ODD = {"Cn", "Co", "Cs", "Cc"}  # unassigned, private use, surrogates, control
MAX_ODD_SHARE = 0.02  # largest share of odd characters in sound text

MIN_WORDS, COMMON_SHARE = 8, 0.10  # words needed; share of function words in sound text
MIN_PAIRS, PAIR_SHARE = 16, 0.6  # pairs of letters needed; share of common pairs in sound text

# Letters of a script by descending frequency. The score of a text is the mean binary logarithm of
# its letters' ranks: 2.7 to 3.0 for natural text, 3.3 and more for ciphers of the same letters.
_RANKED = {
    r"\u0400-\u04ff": "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъіїє",
    r"\u0370-\u03ff\u1f00-\u1fff": "αοιετσνηυρπκμλςάίόέήωδγχθφώύβξζψ",
    r"\u05d0-\u05ea": "יוהלאתרמבשנםעדקפחגטסזןצכךףץ",
    r"\u0621-\u064a": "اليمنوترةبعهدسفكحقأجشطىصإخضذئثزغءظؤآ",
}
_LOGS = {
    re.compile(f"[{span}]"): {char: log2(2 + rank) for rank, char in enumerate(letters)}
    for span, letters in _RANKED.items()
}
UNKNOWN_LOG = log2(48)
# Highest score of sound text; the spread is divided by the square root of the number of letters.
MAX_MEAN_LOG, LOG_SPREAD = 3.07, 1.0
_KANA = re.compile(r"[\u3041-\u3096]")
_KANA_WORD = re.compile(r"[\u3041-\u3096]{2,}")
# The most common hiragana: 71 to 90 % of those in natural text.
_COMMON_KANA = frozenset("のいにたるはしをとてがなでれかすまこらっもあくりう")
# Smallest share in sound text; the spread is divided by the square root of the number of letters.
KANA_SHARE, KANA_SPREAD = 0.7, 0.6
MIN_LETTERS = 20  # letters of a script that are needed to judge it

MIN_KINDS = 5  # different Latin letters and digits needed to compare their shapes
_WORD = re.compile(r"[^\W\d_]+")
_LATIN = re.compile(r"[A-Za-zÀ-ɏẠ-ỹ]")
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_HANGUL = re.compile(r"[가-힣]")
_HANGUL_WORD = re.compile(r"[가-힣]{2,}")
# Pairs of characters needed, and the smallest share of common pairs in sound text.
MIN_PAIRS_KO, SHARE_KO = 60, 0.03
MIN_PAIRS_JA, SHARE_JA = 25, 0.3
MAX_ACCENTED_SHARE = (
    0.7  # largest share of accented among Latin letters; in Vietnamese it is a third
)
# Characters needed, and the smallest share of common ones in sound text.
MIN_HAN, COMMON_HAN = 6, 0.75
MIN_HANGUL, COMMON_HANGUL = 6, 0.85
_SCRIPTS = (  # scripts that do not mix within a word
    re.compile(r"[A-Za-zÀ-ɏ]"),
    re.compile(r"[\u0400-\u04ff]"),
    re.compile(r"[\u0590-\u05ff]"),
    re.compile(r"[\u0600-\u06ff]"),
    re.compile(r"[\u0e00-\u0e7f]"),
    re.compile(r"[\u0900-\u0dff]"),
    re.compile(r"[가-힣]"),
    re.compile(r"[\u10a0-\u10ff\u1200-\u139f\u1680-\u18af\ua000-\ua4cf]"),
)
MAX_MIXED_SHARE = 0.3  # largest share of words with mixed scripts
MIN_MIXED_WORDS = 4  # words with mixed scripts below which the share is ignored


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict on the text of a font.

    latin: the text has enough Latin letters and digits to compare their shapes.
    """

    verdict: Verdict
    latin: bool = False


def judge(text: str) -> Judgement:
    """Judge the text that one font claims to draw."""
    marks = "".join(text.split())
    if not marks:
        return Judgement(Verdict.DOUBT)
    if _odd(marks) or _swapped(marks) or _mixed(text) or _accented(marks):
        return Judgement(Verdict.BROKEN)
    verdicts = [check(text) for check in (_han, _hangul, _lettered, _words)]
    if Verdict.BROKEN in verdicts:
        return Judgement(Verdict.BROKEN)
    if Verdict.SOUND in verdicts:
        return Judgement(Verdict.SOUND)
    latin = {char for char in marks if char.isascii() and char.isalnum()}
    return Judgement(Verdict.DOUBT, len(latin) >= MIN_KINDS)


def _odd(marks: str) -> bool:
    if marks.isascii() and marks.isprintable():
        return False
    odd = sum(char == "\ufffd" or unicodedata.category(char) in ODD for char in marks)
    return odd > MAX_ODD_SHARE * len(marks)


def _swapped(marks: str) -> bool:
    """Detect code units with swapped bytes: Latin letters become code points that end in 00."""
    wide = [char for char in marks if char >= "\u0100"]
    return len(wide) >= MIN_MIXED_WORDS and sum(ord(c) & 0xFF == 0 for c in wide) > len(wide) / 2


def _accented(marks: str) -> bool:
    """Detect another script in the codes of Latin-1: hardly a letter is without an accent."""
    if marks.isascii():
        return False
    latin = _LATIN.findall(marks)
    accented = sum(not char.isascii() for char in latin)
    return len(latin) >= MIN_LETTERS and accented > MAX_ACCENTED_SHARE * len(latin)


def _mixed(text: str) -> bool:
    if text.isascii():
        return False
    words = [word for word in _WORD.findall(text) if len(word) > 2 and not word.isascii()]
    mixed = sum(_changes(word) for word in words)
    return mixed >= MIN_MIXED_WORDS and mixed > MAX_MIXED_SHARE * len(words)


def _changes(word: str) -> bool:
    """Return whether a word mixes scripts.

    With Hangul two changes between scripts are allowed: a foreign word gets a suffix ("PC방").
    """
    kinds = [next((n for n, one in enumerate(_SCRIPTS) if one.match(c)), -1) for c in word]
    kinds = [kind for kind in kinds if kind >= 0]
    changes = sum(a != b for a, b in itertools.pairwise(kinds))
    with_hangul = 6 in kinds
    return changes > (2 if with_hangul else 0)


def _words(text: str) -> Verdict:
    words = _WORD.findall(text.lower())
    known = [word for word in words if len(word) > 1 and word in COMMON]
    enough = len(words) >= MIN_WORDS and len(known) >= COMMON_SHARE * len(words)
    if enough and len(set(known)) >= 3:
        return Verdict.SOUND
    pairs = _pairs(word for word in words if word.isascii())
    if len(pairs) < MIN_PAIRS:
        return Verdict.DOUBT
    share = sum(pair in PAIRS for pair in pairs) / len(pairs)
    # The share varies more for few pairs.
    least = max(PAIR_SHARE, 0.5 + 0.8 / len(pairs) ** 0.5)
    return Verdict.SOUND if share >= least else Verdict.DOUBT


def _han(text: str) -> Verdict:
    found = _HAN.findall(text)
    if len(found) < MIN_HAN:
        return Verdict.DOUBT
    common = sum(map(common_han, found))
    return Verdict.SOUND if common >= COMMON_HAN * len(found) else Verdict.BROKEN


def _hangul(text: str) -> Verdict:
    text = unicodedata.normalize("NFC", text)
    found = _HANGUL.findall(text)
    if len(found) < MIN_HANGUL:
        return Verdict.DOUBT
    if sum(map(common_hangul, found)) < COMMON_HANGUL * len(found):
        return Verdict.BROKEN
    return _by_pairs(_HANGUL_WORD.findall(text), PAIRS_KO, MIN_PAIRS_KO, SHARE_KO)


def _pairs(words: Iterable[str]) -> list[str]:
    """Return all pairs of neighbouring characters inside words."""
    return [word[at : at + 2] for word in words for at in range(len(word) - 1)]


def _by_pairs(words: Iterable[str], known: Container[str], least: int, share: float) -> Verdict:
    """Judge by the share of character pairs that are common in the language; few pairs are sound.

    Args:
        known: the common pairs.
        least: number of pairs below which the verdict is SOUND.
        share: smallest share of common pairs in sound text.
    """
    pairs = _pairs(words)
    sound = len(pairs) < least or sum(pair in known for pair in pairs) >= share * len(pairs)
    return Verdict.SOUND if sound else Verdict.BROKEN


def _lettered(text: str) -> Verdict:
    """Judge scripts of few letters by the frequency of the letters in the text."""
    if text.isascii():
        return Verdict.DOUBT
    text = unicodedata.normalize("NFC", text.lower())
    verdicts = [_kana(text)]
    for letters, logs in _LOGS.items():
        found = letters.findall(text)
        if len(found) < MIN_LETTERS:
            continue
        mean = sum(logs.get(char, UNKNOWN_LOG) for char in found) / len(found)
        most = MAX_MEAN_LOG + LOG_SPREAD / len(found) ** 0.5
        verdicts.append(Verdict.SOUND if mean <= most else Verdict.BROKEN)
    if Verdict.BROKEN in verdicts:
        return Verdict.BROKEN
    return Verdict.SOUND if Verdict.SOUND in verdicts else Verdict.DOUBT


def _kana(text: str) -> Verdict:
    found = _KANA.findall(text)
    if len(found) < MIN_LETTERS:
        return Verdict.DOUBT
    share = sum(char in _COMMON_KANA for char in found) / len(found)
    if share < KANA_SHARE - KANA_SPREAD / len(found) ** 0.5:
        return Verdict.BROKEN
    return _by_pairs(_KANA_WORD.findall(text), PAIRS_JA, MIN_PAIRS_JA, SHARE_JA)


@lru_cache(maxsize=8192)
def common_han(char: str) -> bool:
    """Return whether GB 2312, JIS X 0208 or Big5 has an ideograph in its level of daily use."""
    for codec, last in (("gb2312", 0xD7), ("euc_jp", 0xCF), ("big5", 0xC6)):
        try:
            code = char.encode(codec)
        except UnicodeEncodeError:
            continue
        if len(code) == 2 and code[0] <= last:
            return True
    return False


@lru_cache(maxsize=8192)
def common_hangul(char: str) -> bool:
    """Return whether KS X 1001 has a syllable: it has 2,350 of 11,172.

    The codec composes the others from letters, in eight bytes.
    """
    try:
        return len(char.encode("euc_kr")) == 2
    except UnicodeEncodeError:
        return False
