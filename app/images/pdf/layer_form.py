"""The form of a text layer's text: composed, in plain letters, its lines as on the page."""

import re
import unicodedata

LINE_HYPHEN = "\ufffe"  # PDFium's mark for a hyphen at a line's end
_LINE_HYPHENS = re.compile(f"[\x02{LINE_HYPHEN}]")  # the first in text objects, the other in pages
_FORMS = re.compile(r"[\ufb00-\ufdff\ufe70-\ufefc]+")
_BULLETS = re.compile(r"[\uf0a7\uf0b7\uf0a8\uf0d8\uf0fc\uf06c\uf06e\uf076]")


def bulleted(text: str) -> str:
    """With the private-use codes that word processors have for bullets as bullets."""
    return text if text.isascii() else _BULLETS.sub("•", text)


def judged_form(text: str) -> str:
    """What text objects say, without the marks that are no fault of a font."""
    return bulleted(_LINE_HYPHENS.sub("-", text))


def cleaned(text: str) -> str:
    """A layer's text as it is written: NFC, letters for their presentation forms, and lines that
    end where they end on the page. A word broken there stays broken, as line breaks do."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    text = text.replace("\x02", LINE_HYPHEN)
    if not text.isascii():
        # PDFium drops the line's end there.
        text = re.sub(f"{LINE_HYPHEN}\n?", "-\n", text)
        text = re.sub("\u00ad *\n", "-\n", text).replace("\u00ad", "")
        text = bulleted(text)
        text = _FORMS.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
        text = unicodedata.normalize("NFC", text)
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()
