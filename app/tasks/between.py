"""Inserts the text of a page region into the text layer of that page."""

from app.tasks.unfenced import Unfenced

FENCES = ("", "text", "txt", "plaintext", "markdown")


class Between(Unfenced):
    """The model's text between the text layer's lines `above` and `below` it.

    Without text from the model the answer is the text layer alone.
    """

    def __init__(self, above: str, below: str) -> None:
        super().__init__(FENCES)
        self._above, self._below = above, below
        self._begun = False

    def feed(self, text: str) -> str:
        return self._joined(super().feed(text))

    def end(self) -> str:
        rest = self._joined(super().end())
        if not self._begun:
            return "\n".join(filter(None, (self._above, self._below)))
        return f"{rest}\n{self._below}" if self._below else rest

    def _joined(self, text: str) -> str:
        """Put the text above before the first piece that is not blank."""
        if self._begun or not text.strip():
            return text if self._begun else ""
        self._begun = True
        return f"{self._above}\n{text.lstrip()}" if self._above else text.lstrip()
