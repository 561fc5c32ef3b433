"""In which language the answer should be."""

import re

NAMES = {
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

LOOKED_AT = 2000  # characters of what the user wrote

# Scripts that tell their language. Kana before Han: Japanese has both.
_SCRIPTS = (
    ("ko", re.compile(r"[가-힣ㄱ-ㅎㅏ-ㅣ]")),
    ("ja", re.compile(r"[぀-ヿ]")),
    ("zh", re.compile(r"[一-鿿]")),
    ("th", re.compile(r"[฀-๿]")),
    ("ar", re.compile(r"[؀-ۿ]")),
    ("hi", re.compile(r"[ऀ-ॿ]")),
)


def name(tag: str) -> str:
    """`ko-KR` -> `Korean`; a tag without a name here stands for itself (`the language 'sw'`)."""
    return NAMES.get(tag.split("-", 1)[0].lower(), f"the language '{tag}'")


def instruction(language: str | None, written: str | None, default: str) -> str:
    """The sentence that sets the language of the answer.

    Args:
        language: the one asked for, BCP 47; it wins.
        written: the user's own prompt or question; its language is next.
        default: BCP 47, where the user wrote nothing.
    """
    if language:
        return f"Answer in {name(language)}."
    if written:
        for tag, script in _SCRIPTS:
            if script.search(written, 0, LOOKED_AT):
                return f"Answer in {name(tag)}."
        # Latin and Cyrillic letters are shared by many languages; the model knows which it is.
        return "Answer in the language of this message."
    return f"Answer in {name(default)}."
