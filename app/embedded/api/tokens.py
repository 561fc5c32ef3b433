"""Words in place of tokens: what the engine counts and limits answers by."""

import re
from collections.abc import Iterator

TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])|\s+$")


def split_tokens(text: str) -> Iterator[str]:
    """The text cut into pieces, each with the white space before it; joined they are the text."""
    return (match[0] for match in TOKEN.finditer(text))
