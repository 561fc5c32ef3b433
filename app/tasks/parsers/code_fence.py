"""Removes a code fence around the whole answer, which models add against their instructions.

Fences follow CommonMark (0.31, 4.5), with one exception: a fence inside another is recognized by
its language, which models always write.
"""

import re
from collections.abc import Collection

from app.tasks.parsers.base import AnswerParser

LINE_PIECE = re.compile(r"[^\n]*\n|[^\n]+")
FENCE = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)[^`\n]*")
MAX_HELD_CHARACTERS = 1000  # characters of a line that is held back at most
POSSIBLE_FENCE = re.compile(r"[ \t]*(`{0,2}|`{3,}.*|~{0,2}|~{3,}.*)")  # may become a fence or blank


class CodeFenceParser(AnswerParser):
    """Passes text through without an enclosing fence and without empty lines at the end.

    Args:
        infos: info strings of a fence around the whole answer. A fence with another info string,
            such as `python`, belongs to the document.
    """

    def __init__(self, infos: Collection[str]) -> None:
        self._infos = infos
        self._held_newlines = 0  # line ends that are held back until text follows
        self._held_line = ""  # the start of a line that is held back
        self._in_plain_line = False  # the rest of the line passes through
        self._has_text = False
        self._outer_fence = ""  # the marker of the open enclosing fence
        self._inner_fence = ""

    def feed(self, text: str) -> str:
        return "".join(map(self._feed_line, LINE_PIECE.findall(text)))

    def finish(self) -> str:
        """The closing fence is the last line, usually without a line end."""
        return self._check_fence() if self._held_line.strip() else ""

    def retract(self, characters: int) -> int:
        line = min(characters, len(self._held_line))
        gap = min(characters - line, self._held_newlines)
        self._held_line = self._held_line[: len(self._held_line) - line]
        self._held_newlines -= gap
        return characters - line - gap

    def _feed_line(self, piece: str) -> str:
        """Add a line or a part of one."""
        self._held_line += piece
        whole = piece.endswith("\n")
        long = len(self._held_line) > MAX_HELD_CHARACTERS
        if (
            self._in_plain_line
            or long
            or not POSSIBLE_FENCE.fullmatch(self._held_line.rstrip("\n"))
        ):
            self._in_plain_line = not whole
            return self._release()
        return self._check_fence() if whole else ""

    def _release(self) -> str:
        body = self._held_line.rstrip("\n")
        said = "\n" * self._held_newlines + body if body else ""
        self._held_newlines = (
            len(self._held_line) - len(body) + (0 if body else self._held_newlines)
        )
        self._held_line = ""
        self._has_text = self._has_text or bool(said)
        return said

    def _check_fence(self) -> str:
        """The text to emit for a complete line that is blank or may be a fence."""
        fence = FENCE.fullmatch(self._held_line.rstrip("\n"))
        if not fence:
            return self._release()
        mark, info = fence[1], fence[2].lower()
        if not self._has_text and info in self._infos:
            self._outer_fence, self._has_text, self._held_line = mark, True, ""
            return ""
        if self._inner_fence:
            if not info and mark.startswith(self._inner_fence):
                self._inner_fence = ""
        elif self._outer_fence and not info and mark.startswith(self._outer_fence):
            self._outer_fence = self._held_line = ""
            return ""
        else:
            self._inner_fence = mark
        return self._release()
