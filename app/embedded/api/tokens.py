"""Words in place of tokens: what the engine counts and limits answers by."""

import re
from collections.abc import Iterator

SPACE_OR_PIECE = re.compile(r"\s*(?:\w+|[^\w\s])|\s+$")


def pieces(text: str) -> Iterator[str]:
    """The text cut into pieces, each with the white space before it; joined they are the text."""
    return (match[0] for match in SPACE_OR_PIECE.finditer(text))
