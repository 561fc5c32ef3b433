"""Readers turn the streamed output of the model into the text of the answer."""

from app.tasks.composing import Composer


class Reader:
    """Passes the text through unchanged."""

    def feed(self, text: str) -> str:
        """Add a piece of the model's output. Returns the text to add to the answer."""
        return text

    def raw(self) -> str:
        """The model's unprocessed output if it differs from the text; else empty."""
        return ""

    def again(self) -> str | None:
        """The correction to send to the model if its complete answer is invalid; else None. The
        reader then starts over."""
        return None

    def cut(self, characters: int) -> int:
        """The number of characters to remove from the end of the text when the last `characters` of
        the model's output were a loop.

        It is 0 for a reader whose text differs from the output: the loop is then visible as
        repeated lines.
        """
        return characters

    def end(self) -> str:
        """The rest of the text after the model call.

        Raises:
            Problem: the answer is invalid.
        """
        return ""

    def warnings(self) -> list[str]:
        return []


class Part:
    """The result of one model call: its reader and its text so far."""

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
        """Add a piece of the model's output. Returns the text to emit."""
        return self._add(self.reader.feed(self._composer.feed(text)))

    def cut(self, characters: int) -> None:
        """Remove a loop: the last `characters` of the model's output."""
        self._pieces = [self.text[: max(0, len(self.text) - self.reader.cut(characters))]]

    def end(self) -> str:
        """End the model call. Returns the rest of the text.

        Raises:
            Problem: the answer is invalid.
        """
        rest = self._composer.end()
        return self._add((self.reader.feed(rest) if rest else "") + self.reader.end())

    def _add(self, text: str) -> str:
        if text:
            self._pieces.append(text)
        return text
