"""Removes a code fence around the whole answer, which models add against their instructions.

Fences follow CommonMark (0.31, 4.5), with one exception: a fence inside another is recognized by
its language, which models always write.
"""

import re
from collections.abc import Collection

from app.tasks.reader import Reader

PIECE = re.compile(r"[^\n]*\n|[^\n]+")
FENCE = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)[^`\n]*")
LONGEST = 1000  # characters of a line that is held back at most
UNSURE = re.compile(r"[ \t]*(`{0,2}|`{3,}.*|~{0,2}|~{3,}.*)")  # may become a fence or blank


class Unfenced(Reader):
    """Passes text through without an enclosing fence and without empty lines at the end.

    Args:
        infos: info strings of a fence around the whole answer. A fence with another info string,
            such as `python`, belongs to the document.
    """

    def __init__(self, infos: Collection[str]) -> None:
        self._infos = infos
        self._gap = 0  # line ends that are held back until text follows
        self._line = ""  # the start of a line that is held back
        self._passing = False  # the rest of the line passes through
        self._began = False
        self._outer = ""  # the marker of the open enclosing fence
        self._inner = ""

    def feed(self, text: str) -> str:
        return "".join(map(self._piece, PIECE.findall(text)))

    def end(self) -> str:
        """The closing fence is the last line, usually without a line end."""
        return self._judge() if self._line.strip() else ""

    def cut(self, characters: int) -> int:
        line = min(characters, len(self._line))
        gap = min(characters - line, self._gap)
        self._line = self._line[: len(self._line) - line]
        self._gap -= gap
        return characters - line - gap

    def _piece(self, piece: str) -> str:
        """Add a line or a part of one."""
        self._line += piece
        whole = piece.endswith("\n")
        long = len(self._line) > LONGEST
        if self._passing or long or not UNSURE.fullmatch(self._line.rstrip("\n")):
            self._passing = not whole
            return self._pass()
        return self._judge() if whole else ""

    def _pass(self) -> str:
        body = self._line.rstrip("\n")
        said = "\n" * self._gap + body if body else ""
        self._gap = len(self._line) - len(body) + (0 if body else self._gap)
        self._line = ""
        self._began = self._began or bool(said)
        return said

    def _judge(self) -> str:
        """The text to emit for a complete line that is blank or may be a fence."""
        fence = FENCE.fullmatch(self._line.rstrip("\n"))
        if not fence:
            return self._pass()
        mark, info = fence[1], fence[2].lower()
        if not self._began and info in self._infos:
            self._outer, self._began, self._line = mark, True, ""
            return ""
        if self._inner:
            if not info and mark.startswith(self._inner):
                self._inner = ""
        elif self._outer and not info and mark.startswith(self._outer):
            self._outer = self._line = ""
            return ""
        else:
            self._inner = mark
        return self._pass()
