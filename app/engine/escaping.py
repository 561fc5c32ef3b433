"""Escapes image tags and control tokens in message texts, and adds image tags.

The daemon replaces `[img]` and `[img-N]` in a message by its images, and its engine interprets
control tokens such as `<|im_end|>` anywhere. An invisible character inside them keeps them plain
text in a client's message. It is removed from the model's output.
"""

import re

WORD_JOINER = "\u2060"  # WORD JOINER: zero width, no line break
# The image tag, control tokens of Qwen and Gemma, and llama.cpp's image marker.
CONTROL_TOKENS = re.compile(r"\[(?=img)|<(?=\||__media|/?(?:start|end)_of_)")


def escape(text: str) -> str:
    """The text with image tags and control tokens made inert. The model reads the same text."""
    if "[img" not in text and "<" not in text:
        return text
    return CONTROL_TOKENS.sub(lambda match: match[0] + WORD_JOINER, text)


def is_escaped(text: str) -> bool:
    """Whether the text was changed by `escape`."""
    return WORD_JOINER in text


def unescape(text: str) -> str:
    """The output of a model for an escaped prompt, without the escapes."""
    return text.replace(WORD_JOINER, "")


def tag_images(text: str, pictures: int, first: int) -> str:
    """The escaped text of a message after a line with a tag for each image, so that text separates
    the images.

    Args:
        pictures: number of images in the message. The daemon itself puts a single one first.
        first: number of the message's first image in the prompt, from 1.
    """
    body = escape(text)
    if pictures < 2:
        return body
    lines = [f"Image {number}: [img]" for number in range(first, first + pictures)]
    return "\n".join((*lines, body))
