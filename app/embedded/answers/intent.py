"""What a message asks for."""

import re
from dataclasses import dataclass
from enum import Enum, auto

READ = re.compile(
    r"\b(?:transcri\w+|ocr|read|extract\s+(?:\w+\s+){0,3}text)\b"
    r"|what\s+(?:does|do)\s+.{1,40}\s+say|what(?:'s|\s+is)\s+written"
    r"|읽어|읽을|읽으|옮겨|받아\s*적|전사|(?:텍스트|글자|글씨|문자)\S{0,10}\s*추출"
    r"|뭐라고\s*(?:쓰|써|적)|(?:쓰여|써|적혀)\s*있",
    re.IGNORECASE,
)
DESCRIBE = re.compile(
    r"\b(?:describ\w+|captions?|alt[ -]text|explain|summari[sz]e|tell\s+me\s+about)\b"
    r"|설명|묘사|캡션|대체\s*텍스트|요약",
    re.IGNORECASE,
)
CODE = re.compile(r"\bqr\b|\bbar\s?-?code|\bthe code\b|바코드|큐알", re.IGNORECASE)
CAPTION = re.compile(r"\bcaptions?\b|\balt[ -]text\b|캡션|대체\s*텍스트", re.IGNORECASE)
SPOT = re.compile(r"\bbbox_2d\b")  # boxes as Qwen3-VL writes them
ASK = re.compile(
    r"[?？]|^\s*(?:what|which|who|whose|when|where|why|how|is|are|was|were|does|do|did|can|could"
    r"|has|have)\b|(?:뭐|무엇|얼마|언제|어디|누구|몇|왜)",
    re.IGNORECASE,
)
QUESTION = re.compile(r"^[^\S\n]*(?:question|질문)\s*[:：]\s*(.+)$", re.IGNORECASE | re.MULTILINE)
LANGUAGE = re.compile(r"\banswer\s+in\s+(?!the\s+language)(\w+)", re.IGNORECASE)
HANGUL = re.compile(r"[가-힣ㄱ-ㅣ]")
SENTENCE = re.compile(r"(?<=[.!?？。])\s+|\n+")


class Kind(Enum):
    READ = auto()
    SPOT = auto()
    DESCRIBE = auto()
    CAPTION = auto()
    ASK = auto()


@dataclass(frozen=True, slots=True)
class Intent:
    """`question` is the question itself where `kind` is ASK, `message` the whole where it is
    SPOT; else they are empty."""

    kind: Kind
    korean: bool
    question: str = ""
    message: str = ""


def understand(message: str) -> Intent:
    """The intent of a user's message.

    A line `Question: ...` is the question; without one, the first sentence that asks for anything
    decides, and in it the first word that does. A message that asks for nothing wants the picture
    described.
    """
    labelled = QUESTION.search(message)
    language = LANGUAGE.search(message)
    if language:
        korean = language[1].lower() == "korean"
    else:
        korean = bool(HANGUL.search(labelled[1] if labelled else message))
    if SPOT.search(message):
        return Intent(Kind.SPOT, korean, message=message)
    sentences = [labelled[1]] if labelled else SENTENCE.split(message)
    for sentence in sentences:
        kind = _kind(sentence)
        if kind is Kind.ASK:
            return Intent(kind, korean, sentence.strip())
        if kind is not None:
            return Intent(kind, korean)
    if labelled:
        return Intent(Kind.ASK, korean, labelled[1].strip())
    return Intent(Kind.DESCRIBE, korean)


def _kind(sentence: str) -> Kind | None:
    if CODE.search(sentence) and not DESCRIBE.search(sentence):
        return Kind.ASK
    read, describe = READ.search(sentence), DESCRIBE.search(sentence)
    if read and not (describe and describe.start() < read.start()):
        return Kind.READ
    if describe:
        return Kind.CAPTION if CAPTION.search(sentence) else Kind.DESCRIBE
    return Kind.ASK if ASK.search(sentence) else None
