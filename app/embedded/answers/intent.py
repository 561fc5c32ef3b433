"""Finds the task, the question and the language of a user message."""

import re
from dataclasses import dataclass
from enum import Enum, auto

OCR_WORDS = re.compile(
    r"\b(?:transcri\w+|ocr|read|extract\s+(?:\w+\s+){0,3}text)\b"
    r"|what\s+(?:does|do)\s+.{1,40}\s+say|what(?:'s|\s+is)\s+written"
    r"|읽어|읽을|읽으|옮겨|받아\s*적|전사|(?:텍스트|글자|글씨|문자)\S{0,10}\s*추출"
    r"|뭐라고\s*(?:쓰|써|적)|(?:쓰여|써|적혀)\s*있",
    re.IGNORECASE,
)
DESCRIBE_WORDS = re.compile(
    r"\b(?:describ\w+|captions?|alt[ -]text|explain|summari[sz]e|tell\s+me\s+about)\b"
    r"|설명|묘사|캡션|대체\s*텍스트|요약",
    re.IGNORECASE,
)
BARCODE_WORDS = re.compile(r"\bqr\b|\bbar\s?-?code|\bthe code\b|바코드|큐알", re.IGNORECASE)
CAPTION_WORDS = re.compile(r"\bcaptions?\b|\balt[ -]text\b|캡션|대체\s*텍스트", re.IGNORECASE)
GROUNDING_FORMAT = re.compile(r"\bbbox_2d\b")  # Qwen3-VL's grounding format
QUESTION_WORDS = re.compile(
    r"[?？]|^\s*(?:what|which|who|whose|when|where|why|how|is|are|was|were|does|do|did|can|could"
    r"|has|have)\b|(?:뭐|무엇|얼마|언제|어디|누구|몇|왜)",
    re.IGNORECASE,
)
QUESTION_LINE = re.compile(
    r"^[^\S\n]*(?:question|질문)\s*[:：]\s*(.+)$", re.IGNORECASE | re.MULTILINE
)
ANSWER_LANGUAGE = re.compile(r"\banswer\s+in\s+(?!the\s+language)(\w+)", re.IGNORECASE)
HANGUL = re.compile(r"[가-힣ㄱ-ㅣ]")
SENTENCE_END = re.compile(r"(?<=[.!?？。])\s+|\n+")


class Task(Enum):
    """What a prompt asks for."""

    OCR = auto()
    GROUND = auto()
    DESCRIBE = auto()
    CAPTION = auto()
    VQA = auto()


@dataclass(frozen=True, slots=True)
class Intent:
    """The task of a message and the language of its answer.

    `question` is set for VQA only, and `message` (the whole message) for GROUND only.
    """

    task: Task
    korean: bool
    question: str = ""
    message: str = ""


def parse_intent(message: str) -> Intent:
    """Parses a user message.

    A line `Question: ...` is the question. Without it, the first sentence with a known word
    decides, and in it the first such word. The default is DESCRIBE.
    """
    question_line = QUESTION_LINE.search(message)
    language = ANSWER_LANGUAGE.search(message)
    if language:
        korean = language[1].lower() == "korean"
    else:
        korean = bool(HANGUL.search(question_line[1] if question_line else message))
    if GROUNDING_FORMAT.search(message):
        return Intent(Task.GROUND, korean, message=message)
    sentences = [question_line[1]] if question_line else SENTENCE_END.split(message)
    for sentence in sentences:
        task = _task(sentence)
        if task is Task.VQA:
            return Intent(task, korean, sentence.strip())
        if task is not None:
            return Intent(task, korean)
    if question_line:
        return Intent(Task.VQA, korean, question_line[1].strip())
    return Intent(Task.DESCRIBE, korean)


def _task(sentence: str) -> Task | None:
    if BARCODE_WORDS.search(sentence) and not DESCRIBE_WORDS.search(sentence):
        return Task.VQA
    read, describe = OCR_WORDS.search(sentence), DESCRIBE_WORDS.search(sentence)
    if read and not (describe and describe.start() < read.start()):
        return Task.OCR
    if describe:
        return Task.CAPTION if CAPTION_WORDS.search(sentence) else Task.DESCRIBE
    return Task.VQA if QUESTION_WORDS.search(sentence) else None
