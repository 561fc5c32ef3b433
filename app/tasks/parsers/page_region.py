"""Inserts the text of a page region into the text layer of that page."""

from app.tasks.parsers.code_fence import CodeFenceParser

FENCES = ("", "text", "txt", "plaintext", "markdown")


class PageRegionParser(CodeFenceParser):
    """The model's text between the text layer's lines `above` and `below` it.

    Without text from the model the answer is the text layer alone.
    """

    def __init__(self, above: str, below: str) -> None:
        super().__init__(FENCES)
        self._above, self._below = above, below
        self._region_started = False

    def feed(self, text: str) -> str:
        return self._with_text_above(super().feed(text))

    def finish(self) -> str:
        rest = self._with_text_above(super().finish())
        if not self._region_started:
            return "\n".join(filter(None, (self._above, self._below)))
        return f"{rest}\n{self._below}" if self._below else rest

    def _with_text_above(self, text: str) -> str:
        """Put the text above before the first piece that is not blank."""
        if self._region_started or not text.strip():
            return text if self._region_started else ""
        self._region_started = True
        return f"{self._above}\n{text.lstrip()}" if self._above else text.lstrip()
