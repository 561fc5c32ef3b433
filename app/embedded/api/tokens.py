"""Words in place of tokens: they are counted, streamed and limited by `num_predict`."""

import re
from collections.abc import Iterator

TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])|\s+$")


def split_tokens(text: str) -> Iterator[str]:
    """Splits text into words, numbers and punctuation marks, each with its leading space."""
    return (match[0] for match in TOKEN.finditer(text))
