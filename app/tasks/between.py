"""A part of a page that was read, between the page's own text above and below it."""

from app.tasks.unfenced import Unfenced

FENCES = ("", "text", "txt", "plaintext", "markdown")


class Between(Unfenced):
    """Text of the model's with a page's own text around it, a line each."""

    def __init__(self, above: str, below: str) -> None:
        super().__init__(FENCES)
        self._above, self._below = above, below
        self._begun = False

    def feed(self, text: str) -> str:
        return self._joined(super().feed(text))

    def end(self) -> str:
        rest = self._joined(super().end())
        if not self._begun:  # nothing was read
            return "\n".join(filter(None, (self._above, self._below)))
        return f"{rest}\n{self._below}" if self._below else rest

    def _joined(self, text: str) -> str:
        """With what is above before the first piece."""
        if self._begun or not text.strip():
            return text if self._begun else ""
        self._begun = True
        return f"{self._above}\n{text.lstrip()}" if self._above else text.lstrip()
