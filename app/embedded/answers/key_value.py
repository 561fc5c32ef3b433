"""Finds the value beside a label in lines of text. Never guesses."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

COLUMN_GAP = re.compile(r"\s{2,}")
WORD = re.compile(r"[A-Za-z]+|[가-힣]+")
# Particles and endings after a Korean noun, longest first.
PARTICLE = re.compile(
    r"(?<=[가-힣]{2})(?:이에요|인가요|입니까|이야|에서|은|는|이|가|을|를|의|에|도)$"
)
# Words of a question that name no label.
STOP_WORDS = re.compile(
    r"what|whats|s|is|are|was|were|the|a|an|of|on|in|at|for|to|this|that|it|how|much|many|which"
    r"|does|do|did|there|have|has|had|please|tell|me|show|shown|value|cost|costs|receipt|image|picture|document|table"
    r"|얼마.*|무엇.*|뭐.*|뭔.*|몇.*|언제.*|어디.*|있.*|입니.*|인가.*|알려.*|주세요|줘|이|그|저|영수증|이미지|그림"
    r"|사진|문서|표|값|얼마|적힌|나온|되나요|돼요|하나요|번인가요|개인가요",
    re.IGNORECASE,
)
MIN_HEADING_CELLS = 3

DATE = re.compile(
    r"(?<![\d-])\d{4}\s?[-./년]\s?\d{1,2}\s?[-./월]\s?\d{1,2}(?:\s?일)?(?:\s+\d{1,2}:\d{2}(?::\d{2})?)?"
    r"|(?<![\d-])\d{1,2}[-/.]\d{1,2}[-/.]\d{4}(?!\d)(?:\s+\d{1,2}:\d{2})?"
)
PHONE = re.compile(r"(?:\+\d{1,3}[ -]?)?\(?\d{2,4}\)?[ -.]\d{3,4}[ -.]\d{4}")


@dataclass(frozen=True, slots=True)
class Topic:
    """A question that matches `question_pattern` is answered by `value` in a line with `label`."""

    question_pattern: re.Pattern[str]
    label: re.Pattern[str]
    value: re.Pattern[str]


REST_OF_LINE = re.compile(r"\S.*")
TOPICS = (
    Topic(
        re.compile(
            r"\btotal\b|\bamount (?:due|to pay)\b|합계|총액|총\s*금액|결제\s*금액|모두\s*얼마", re.I
        ),
        re.compile(
            r"^\s*(?:grand\s+)?total\b(?:\s+amount)?|^\s*amount\s+due\b"
            r"|^\s*(?:합\s*계|총\s*액|총\s*금\s*액|결제\s*금액|받을\s*금액)(?:\s*금액)?",
            re.I,
        ),
        REST_OF_LINE,
    ),
    Topic(
        re.compile(r"\bphone\b|\btel\b|\btelephone\b|전화|연락처", re.I),
        re.compile(r"\bphone\b|\btel\b|\btelephone\b|전화|연락처", re.I),
        PHONE,
    ),
    Topic(re.compile(r"\bdate\b|\bwhen\b|날짜|일시|언제|며칠", re.I), re.compile(""), DATE),
)
SHOP_QUESTION = re.compile(
    r"\b(?:name|called|which|what)\b.{0,100}\b(?:shop|store|restaurant|merchant|cafe)\b"
    r"|\b(?:shop|store|restaurant|merchant|cafe)(?:'s)?\s+name\b"
    r"|상호|(?:가게|매장|상점|점포|마트|식당)\S{0,10}\s*(?:이름|명|뭐|무엇|어디)",
    re.I,
)
SHOP_LABEL = re.compile(
    r"^\s*(?:상\s*호|매장명?|가맹점명?|store|merchant|shop)\s*[:：]\s*(?=\S)", re.I
)
RECEIPT_WORDS = re.compile(r"사업자|승인\s*번호|영수증|합계|\breceipt\b|\btotal\b", re.I)


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A value and the lines that it was found in.

    `first_line`: the value is the first line of a receipt, where the shop's name is printed.
    """

    value: str
    lines: tuple[str, ...]
    first_line: bool = False


def find_value(question: str, lines: Sequence[str]) -> KeyValue | None:
    """The value of the label that the question names. None unless exactly one value is found."""
    words = _key_words(question)
    return (
        _by_label(words, lines)
        or _in_table(words, lines)
        or _by_topic(question, lines)
        or _shop_name(question, lines)
    )


def _key_words(question: str) -> list[str]:
    words = [PARTICLE.sub("", word).lower() for word in WORD.findall(question)]
    return [word for word in words if not STOP_WORDS.fullmatch(word)]


def _by_label(words: Sequence[str], lines: Sequence[str]) -> KeyValue | None:
    """The value of the only line whose label has all `words` and which has one value."""
    if not words:
        return None
    hits = []
    for line in lines:
        label, *values = COLUMN_GAP.split(line.strip())
        if not values and ":" in label:
            label, *values = (part.strip() for part in label.split(":", 1))
        if len(values) == 1 and all(_contains_word(label, word) for word in words):
            hits.append(KeyValue(values[0], (line.strip(),)))
    return hits[0] if len(hits) == 1 else None


def _in_table(words: Sequence[str], lines: Sequence[str]) -> KeyValue | None:
    """The table cell whose row label has some of the words and whose heading has the others."""
    rows = [COLUMN_GAP.split(line.strip()) for line in lines]
    hits = set()
    for top, heading in enumerate(rows):
        if len(heading) < MIN_HEADING_CELLS or any(map(str.isdigit, "".join(heading))):
            continue
        for row, line in zip(rows[top + 1 :], lines[top + 1 :], strict=True):
            row_words = [word for word in words if _contains_word(row[0], word)]
            heading_words = [word for word in words if word not in row_words]
            columns = [
                n
                for n, cell in enumerate(heading)
                if heading_words and all(_contains_word(cell, w) for w in heading_words)
            ]
            if row_words and len(columns) == 1 and len(row) == len(heading):
                hits.add(KeyValue(row[columns[0]], (lines[top].strip(), line.strip())))
    return hits.pop() if len(hits) == 1 else None


def _by_topic(question: str, lines: Sequence[str]) -> KeyValue | None:
    for topic in TOPICS:
        if not topic.question_pattern.search(question):
            continue
        hits: dict[str, str] = {}
        for line in lines:
            label = topic.label.search(line)
            value = label and topic.value.search(line, label.end())
            if value:
                hits.setdefault(value[0].strip(" :："), line.strip())
        if len(hits) == 1:
            return next(KeyValue(value, (line,)) for value, line in hits.items())
    return None


def _shop_name(question: str, lines: Sequence[str]) -> KeyValue | None:
    if not SHOP_QUESTION.search(question) or not lines:
        return None
    for line in lines:
        if label := SHOP_LABEL.search(line):
            return KeyValue(line[label.end() :].strip(), (line.strip(),))
    first = lines[0].strip()
    if any(map(RECEIPT_WORDS.search, lines[1:])) and not re.search(r"\d|\s{2,}", first):
        return KeyValue(first, (first,), first_line=True)
    return None


def _contains_word(cell: str, word: str) -> bool:
    """Whether the cell contains the word. Latin words match whole, in singular and plural."""
    if word.isascii():
        return bool(re.search(rf"\b{word.rstrip('s')}s?\b", cell, re.IGNORECASE))
    return word in cell.replace(" ", "")
