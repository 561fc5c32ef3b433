"""The commands of a document.

They stand in blocks of `bash`, or, after a `$`, of `console`. What cannot run in a test has a
comment in the line before its block:

    <!-- not run: needs root -->
"""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.inference_server import REPO

BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<why>[^\n]*) -->\n)?```(?P<kind>bash|console)\n(?P<text>.*?)^```",
    re.M | re.S,
)
COMMENT = re.compile(r"(^|\s+)# .*$")


@dataclass(frozen=True, slots=True)
class Command:
    """One command; `exports` are those that stand before it in its document, `why` is the reason
    not to run it."""

    document: str
    line: int
    text: str
    exports: tuple[str, ...] = ()
    why: str = ""

    def __str__(self) -> str:
        return f"{self.document}:{self.line} {self.text}"


def documents() -> list[Path]:
    """All that have commands for users, the landing page first; of twins the one that runs first is
    the English one."""
    places = (
        *("README*.md", "MODEL_INFO*.md", "CONTRIBUTING*.md", "CHANGELOG.md"),
        *("docs/*.md", "deploy/**/*.md", "examples/*.md"),
    )
    return [
        path
        for place in places
        for path in sorted(REPO.glob(place), key=lambda path: (".ko." in path.name, path))
    ]


def commands(path: Path) -> list[Command]:
    """In their order; a command that goes on over several lines is one."""
    text = path.read_text()
    found: list[Command] = []
    exports: tuple[str, ...] = ()
    for block in BLOCK.finditer(text):
        first = text.count("\n", 0, block.start("text")) + 1
        for offset, line in lines(block["text"], console=block["kind"] == "console"):
            name = str(path.relative_to(REPO))
            found.append(Command(name, first + offset, line, exports, block["why"] or ""))
            if line.startswith("export ") and not block["why"]:
                exports = (*exports, line)
    return found


def lines(block: str, *, console: bool) -> list[tuple[int, str]]:
    """Each with its place in the block; without what is printed, and without comments."""
    found: list[tuple[int, str]] = []
    goes_on = False
    for offset, line in enumerate(block.splitlines()):
        if goes_on:
            start, begun = found.pop()
            found.append((start, begun.removesuffix("\\") + line.strip()))
        elif console and line.startswith("$ "):
            found.append((offset, line[2:]))
        elif not console and (bare := COMMENT.sub("", line).strip()):
            found.append((offset, bare))
        goes_on = bool(found) and found[-1][1].endswith("\\")
    return found
