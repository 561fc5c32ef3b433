"""Selects the language of the answer."""

import re

LANGUAGE_NAMES = {
    "ar": "Arabic",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "hi": "Hindi",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "zh": "Chinese",
}

MAX_SCANNED_CHARACTERS = 2000  # characters of the user's text that are searched

# Scripts that identify a language. Kana comes before Han, because Japanese uses both.
_SCRIPTS = (
    ("ko", re.compile(r"[가-힣ㄱ-ㅎㅏ-ㅣ]")),
    ("ja", re.compile(r"[぀-ヿ]")),
    ("zh", re.compile(r"[一-鿿]")),
    ("th", re.compile(r"[฀-๿]")),
    ("ar", re.compile(r"[؀-ۿ]")),
    ("hi", re.compile(r"[ऀ-ॿ]")),
)


def language_name(tag: str) -> str:
    """`ko-KR` -> `Korean`; an unknown tag is used as it is (`the language 'sw'`)."""
    return LANGUAGE_NAMES.get(tag.split("-", 1)[0].lower(), f"the language '{tag}'")


def answer_language_instruction(language: str | None, written: str | None, default: str) -> str:
    """The sentence that sets the language of the answer.

    Args:
        language: the requested language (BCP 47). It takes precedence.
        written: the user's prompt or question. Its language comes next.
        default: the language (BCP 47) if the user wrote nothing.
    """
    if language:
        return f"Answer in {language_name(language)}."
    if written:
        for tag, script in _SCRIPTS:
            if script.search(written, 0, MAX_SCANNED_CHARACTERS):
                return f"Answer in {language_name(tag)}."
        # Many languages share Latin and Cyrillic letters; the model identifies the language.
        return "Answer in the language of this message."
    return f"Answer in {language_name(default)}."
