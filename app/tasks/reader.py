"""What the model wrote, as text of the answer: read while it comes."""

from app.tasks.composing import Composer


class Reader:
    """Text as it is."""

    def feed(self, text: str) -> str:
        """What of this piece belongs to the answer's text."""
        return text

    def raw(self) -> str:
        """What the model wrote, where that is not the text."""
        return ""

    def again(self) -> str | None:
        """What to tell the model where its whole answer is not what it has to be, so that it is
        asked once more; the reader then begins anew."""
        return None

    def cut(self, characters: int) -> int:
        """How much goes at the end of the text where the last so many characters that the model
        wrote were a loop. Where the text is made of what it wrote, and not the same, nothing does:
        a loop then shows as lines that repeat."""
        return characters

    def end(self) -> str:
        """What is left of the text when the turn is over.

        Raises:
            Problem: the answer is not what it has to be.
        """
        return ""

    def warnings(self) -> list[str]:
        return []


class Part:
    """What one turn gave: its text so far, and its reader."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._pieces: list[str] = []
        self._composer = Composer()

    @property
    def text(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def take(self, text: str) -> str:
        """Take in a piece of the model's answer; what of it belongs to the text."""
        return self._add(self.reader.feed(self._composer.feed(text)))

    def cut(self, characters: int) -> None:
        """The last characters that the model wrote were a loop."""
        self._pieces = [self.text[: max(0, len(self.text) - self.reader.cut(characters))]]

    def end(self) -> str:
        """The turn is over; what of the text was still missing."""
        rest = self._composer.end()
        return self._add((self.reader.feed(rest) if rest else "") + self.reader.end())

    def _add(self, text: str) -> str:
        if text:
            self._pieces.append(text)
        return text
