"""The text of a message as the daemon is to read it: as text, with its pictures where they belong.

The daemon replaces `[img]` and `[img-N]` in a message by its pictures, and its engine reads control
tokens such as `<|im_end|>` wherever they stand. In a client's text they are words about such
things: an invisible character in them keeps them words. What the model writes is given back
without it.
"""

import re

JOINER = "\u2060"  # WORD JOINER: without width, and no space
# A picture's tag, control tokens of Qwen, of Gemma, and llama.cpp's own sign for a picture.
SPECIAL = re.compile(r"\[(?=img)|<(?=\||__media|/?(?:start|end)_of_)")


def escaped(text: str) -> str:
    """The text, for the model the same, with nothing in it that the daemon acts upon."""
    if "[img" not in text and "<" not in text:
        return text
    return SPECIAL.sub(lambda match: match[0] + JOINER, text)


def is_escaped(text: str) -> bool:
    """Whether the text was changed by `escaped`."""
    return JOINER in text


def plain(text: str) -> str:
    """What a model wrote that was asked with escaped text."""
    return text.replace(JOINER, "")


def tagged(text: str, pictures: int, first: int) -> str:
    """A message's text, escaped, behind tags for its pictures, so that text stands between them.

    Args:
        pictures: how many the message has; the daemon puts a single one before the text by itself.
        first: the number of the first one in the prompt, from 1.
    """
    body = escaped(text)
    if pictures < 2:
        return body
    lines = [f"Image {number}: [img]" for number in range(first, first + pictures)]
    return "\n".join((*lines, body))
