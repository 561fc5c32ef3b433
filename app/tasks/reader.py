"""How the text of one turn is read while it comes."""

from dataclasses import dataclass
from typing import Any

from app.images.probe import Picture
from app.tasks.grounding import ObjectScanner, box_of


class Reader:
    """Text as it is."""

    def feed(self, text: str) -> str:
        """What of this piece belongs to the answer's text."""
        return text

    def end(self) -> str:
        """What is left of it when the turn is over."""
        return ""

    def warnings(self) -> list[str]:
        return []


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text and where it stands, in pixels of the original."""

    text: str
    box: tuple[float, float, float, float] | None
    image: int
    page: int | None


@dataclass(slots=True)
class Part:
    """What one turn gave: its text so far, and its reader."""

    reader: Reader
    text: str = ""

    def take(self, text: str) -> str:
        """Take in a piece of the model's answer; what of it belongs to the text."""
        text = self.reader.feed(text)
        self.text += text
        return text

    def cut(self, characters: int) -> None:
        """The last characters that the model wrote were a loop. Where the text is made of what it
        wrote, and not the same, nothing can be cut: a loop then shows as lines that repeat."""
        if type(self.reader) is Reader:
            self.text = self.text[: max(0, len(self.text) - characters)]

    def end(self) -> str:
        """The turn is over; what of the text was still missing."""
        text = self.reader.end()
        self.text += text
        return text


class LineReader(Reader):
    """Lines with boxes, from the model's JSON; the text is the lines alone."""

    def __init__(self, picture: Picture) -> None:
        self.lines: list[Line] = []
        self._picture = picture
        self._scanner = ObjectScanner()
        self._raw: list[str] = []

    def feed(self, text: str) -> str:
        self._raw.append(text)
        before = len(self.lines)
        for found in self._scanner.feed(text):
            self._add(found)
        new = enumerate(self.lines[before:], before)
        return "".join(f"\n{line.text}" if at else line.text for at, line in new)

    def end(self) -> str:
        """An answer without a single line is given as it came."""
        return "" if self.lines else "".join(self._raw)

    def warnings(self) -> list[str]:
        where = f"image[{self._picture.index}]"
        if not self.lines and "".join(self._raw).strip():
            return [f"{where}: the model gave no lines with boxes; its text is as it came."]
        without = sum(line.box is None for line in self.lines)
        notes = []
        if without:
            notes.append(f"{where}: {without} line(s) came without a usable box.")
        if self._scanner.damaged:
            notes.append(f"{where}: {self._scanner.damaged} line(s) could not be read.")
        return notes

    def _add(self, found: dict[str, Any]) -> None:
        text = found.get("text_content", found.get("text"))
        if isinstance(text, str) and text.strip():
            picture = self._picture
            box = box_of(found, picture.width, picture.height)
            self.lines.append(Line(text, box, picture.index, picture.page))
