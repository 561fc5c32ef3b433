"""Parsers turn the streamed output of the model into the text of the answer."""

from app.tasks.parsers.nfc import NfcNormalizer


class AnswerParser:
    """Passes the text through unchanged."""

    def feed(self, text: str) -> str:
        """Add a piece of the model's output. Returns the text to add to the answer."""
        return text

    def raw_text(self) -> str:
        """The model's unprocessed output if it differs from the text; else empty."""
        return ""

    def correction(self) -> str | None:
        """The correction to send to the model if its complete answer is invalid; else None. The
        parser then starts over."""
        return None

    def retract(self, characters: int) -> int:
        """The number of characters to remove from the end of the text when the last `characters` of
        the model's output were a loop.

        It is 0 for a parser whose text differs from the output: the loop is then visible as
        repeated lines.
        """
        return characters

    def finish(self) -> str:
        """The rest of the text after the model call.

        Raises:
            Problem: the answer is invalid.
        """
        return ""

    def warnings(self) -> list[str]:
        return []


class AnswerPart:
    """The result of one model call: its parser and its text so far."""

    def __init__(self, parser: AnswerParser) -> None:
        self.parser = parser
        self._pieces: list[str] = []
        self._normalizer = NfcNormalizer()

    @property
    def text(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def feed(self, text: str) -> str:
        """Add a piece of the model's output. Returns the text to emit."""
        return self._add(self.parser.feed(self._normalizer.feed(text)))

    def retract(self, characters: int) -> None:
        """Remove a loop: the last `characters` of the model's output."""
        self._pieces = [self.text[: max(0, len(self.text) - self.parser.retract(characters))]]

    def finish(self) -> str:
        """End the model call. Returns the rest of the text.

        Raises:
            Problem: the answer is invalid.
        """
        rest = self._normalizer.finish()
        return self._add((self.parser.feed(rest) if rest else "") + self.parser.finish())

    def _add(self, text: str) -> str:
        if text:
            self._pieces.append(text)
        return text
