"""Whether the characters of a text layer can be text of some language.

A font may claim Unicode that is not what it draws: shifted, swapped or ciphered codes, private-use
code points. What is claimed then is text of no language. No dictionary is needed to see most of
it: which ideographs and syllables are common is what the national character sets say, and which
letters are is a line a script.
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
    """What the characters of a text layer look like."""

    SOUND = "text of a language"
    BROKEN = "text of no language"
    DOUBT = "too little or too odd to tell"


ODD = {"Cn", "Co", "Cs", "Cc"}  # unassigned, private use, surrogates, control
MOST_ODD = 0.02  # share of a sound text

LEAST_WORDS, COMMON_SHARE = 8, 0.10
LEAST_PAIRS, PAIR_SHARE = 16, 0.6

# Letters of a script in the order of their frequency. A text's score is the mean binary logarithm
# of its letters' ranks: 2.7 to 3.0 in print, 3.3 and more in ciphers of the same letters.
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
MOST_LOG, LOG_SPREAD = 3.07, 1.0  # the second over the root of the number of letters
_KANA = re.compile(r"[\u3041-\u3096]")
_KANA_WORD = re.compile(r"[\u3041-\u3096]{2,}")
# The commonest of them: 71 to 90 % of what is printed.
_COMMON_KANA = frozenset("のいにたるはしをとてがなでれかすまこらっもあくりう")
KANA_SHARE, KANA_SPREAD = 0.7, 0.6
LEAST_LETTERS = 20

LEAST_KINDS = 5  # of Latin letters and digits, to look at their shapes
_WORD = re.compile(r"[^\W\d_]+")
_LATIN = re.compile(r"[A-Za-zÀ-ɏẠ-ỹ]")
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_HANGUL = re.compile(r"[가-힣]")
_HANGUL_WORD = re.compile(r"[가-힣]{2,}")
LEAST_PAIRS_KO, SHARE_KO = 60, 0.03
LEAST_PAIRS_JA, SHARE_JA = 25, 0.3
MOST_ACCENTED = 0.7  # share of accented letters among Latin ones; in Vietnamese it is a third
LEAST_HAN, COMMON_HAN = 6, 0.75
LEAST_HANGUL, COMMON_HANGUL = 6, 0.85
_SCRIPTS = (  # those that do not mix within a word
    re.compile(r"[A-Za-zÀ-ɏ]"),
    re.compile(r"[\u0400-\u04ff]"),
    re.compile(r"[\u0590-\u05ff]"),
    re.compile(r"[\u0600-\u06ff]"),
    re.compile(r"[\u0e00-\u0e7f]"),
    re.compile(r"[\u0900-\u0dff]"),
    re.compile(r"[가-힣]"),
    re.compile(r"[\u10a0-\u10ff\u1200-\u139f\u1680-\u18af\ua000-\ua4cf]"),
)
MOST_MIXED = 0.3  # of at least so many words
LEAST_MIXED = 4


@dataclass(frozen=True, slots=True)
class Judged:
    """`latin`: there are Latin letters and digits, whose shapes are known."""

    verdict: Verdict
    latin: bool = False


def judge(text: str) -> Judged:
    """Judge what one font claims to have drawn."""
    marks = "".join(text.split())
    if not marks:
        return Judged(Verdict.DOUBT)
    if _odd(marks) or _swapped(marks) or _mixed(text) or _accented(marks):
        return Judged(Verdict.BROKEN)
    verdicts = [check(text) for check in (_han, _hangul, _lettered, _words)]
    if Verdict.BROKEN in verdicts:
        return Judged(Verdict.BROKEN)
    if Verdict.SOUND in verdicts:
        return Judged(Verdict.SOUND)
    latin = {char for char in marks if char.isascii() and char.isalnum()}
    return Judged(Verdict.DOUBT, len(latin) >= LEAST_KINDS)


def _odd(marks: str) -> bool:
    if marks.isascii() and marks.isprintable():
        return False
    odd = sum(char == "\ufffd" or unicodedata.category(char) in ODD for char in marks)
    return odd > MOST_ODD * len(marks)


def _swapped(marks: str) -> bool:
    """Code units with their bytes swapped: Latin letters become ideographs that end in 00."""
    wide = [char for char in marks if char >= "\u0100"]
    return len(wide) >= LEAST_MIXED and sum(ord(c) & 0xFF == 0 for c in wide) > len(wide) / 2


def _accented(marks: str) -> bool:
    """Letters of another script in the codes of Latin-1: hardly one without an accent."""
    if marks.isascii():
        return False
    latin = _LATIN.findall(marks)
    accented = sum(not char.isascii() for char in latin)
    return len(latin) >= LEAST_LETTERS and accented > MOST_ACCENTED * len(latin)


def _mixed(text: str) -> bool:
    if text.isascii():
        return False
    words = [word for word in _WORD.findall(text) if len(word) > 2 and not word.isascii()]
    mixed = sum(_changes(word) for word in words)
    return mixed >= LEAST_MIXED and mixed > MOST_MIXED * len(words)


def _changes(word: str) -> bool:
    """Whether a word goes to and fro between scripts; one change is a suffix ("PC방", "USB는")."""
    kinds = [next((n for n, one in enumerate(_SCRIPTS) if one.match(c)), -1) for c in word]
    kinds = [kind for kind in kinds if kind >= 0]
    changes = sum(a != b for a, b in itertools.pairwise(kinds))
    with_hangul = 6 in kinds
    return changes > (2 if with_hangul else 0)


def _words(text: str) -> Verdict:
    words = _WORD.findall(text.lower())
    known = [word for word in words if len(word) > 1 and word in COMMON]
    enough = len(words) >= LEAST_WORDS and len(known) >= COMMON_SHARE * len(words)
    if enough and len(set(known)) >= 3:
        return Verdict.SOUND
    pairs = _pairs(word for word in words if word.isascii())
    if len(pairs) < LEAST_PAIRS:
        return Verdict.DOUBT
    share = sum(pair in PAIRS for pair in pairs) / len(pairs)
    # Of few pairs the share varies.
    least = max(PAIR_SHARE, 0.5 + 0.8 / len(pairs) ** 0.5)
    return Verdict.SOUND if share >= least else Verdict.DOUBT


def _han(text: str) -> Verdict:
    found = _HAN.findall(text)
    if len(found) < LEAST_HAN:
        return Verdict.DOUBT
    common = sum(map(common_han, found))
    return Verdict.SOUND if common >= COMMON_HAN * len(found) else Verdict.BROKEN


def _hangul(text: str) -> Verdict:
    text = unicodedata.normalize("NFC", text)
    found = _HANGUL.findall(text)
    if len(found) < LEAST_HANGUL:
        return Verdict.DOUBT
    if sum(map(common_hangul, found)) < COMMON_HANGUL * len(found):
        return Verdict.BROKEN
    return _by_pairs(_HANGUL_WORD.findall(text), PAIRS_KO, LEAST_PAIRS_KO, SHARE_KO)


def _pairs(words: Iterable[str]) -> list[str]:
    """Neighbouring characters inside words."""
    return [word[at : at + 2] for word in words for at in range(len(word) - 1)]


def _by_pairs(words: Iterable[str], known: Container[str], least: int, share: float) -> Verdict:
    """By how many neighbours inside words are neighbours in the language; few tell nothing."""
    pairs = _pairs(words)
    sound = len(pairs) < least or sum(pair in known for pair in pairs) >= share * len(pairs)
    return Verdict.SOUND if sound else Verdict.BROKEN


def _lettered(text: str) -> Verdict:
    """Scripts of few letters, by how common those of the text are."""
    if text.isascii():
        return Verdict.DOUBT
    text = unicodedata.normalize("NFC", text.lower())
    verdicts = [_kana(text)]
    for letters, logs in _LOGS.items():
        found = letters.findall(text)
        if len(found) < LEAST_LETTERS:
            continue
        mean = sum(logs.get(char, UNKNOWN_LOG) for char in found) / len(found)
        most = MOST_LOG + LOG_SPREAD / len(found) ** 0.5
        verdicts.append(Verdict.SOUND if mean <= most else Verdict.BROKEN)
    if Verdict.BROKEN in verdicts:
        return Verdict.BROKEN
    return Verdict.SOUND if Verdict.SOUND in verdicts else Verdict.DOUBT


def _kana(text: str) -> Verdict:
    found = _KANA.findall(text)
    if len(found) < LEAST_LETTERS:
        return Verdict.DOUBT
    share = sum(char in _COMMON_KANA for char in found) / len(found)
    if share < KANA_SHARE - KANA_SPREAD / len(found) ** 0.5:
        return Verdict.BROKEN
    return _by_pairs(_KANA_WORD.findall(text), PAIRS_JA, LEAST_PAIRS_JA, SHARE_JA)


@lru_cache(maxsize=8192)
def common_han(char: str) -> bool:
    """Whether one of the national sets has it in its first level, that of daily use."""
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
    """Whether KS X 1001 has it: 2,350 of 11,172 syllables. (The codec spells out the others, in
    eight bytes.)"""
    try:
        return len(char.encode("euc_kr")) == 2
    except UnicodeEncodeError:
        return False
