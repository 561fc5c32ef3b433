"""Normalises the text of a text layer: NFC, plain letters, line breaks as on the page."""

import re
import unicodedata

LINE_HYPHEN = "\ufffe"  # PDFium's code for a hyphen at the end of a line
# PDFium writes the first code in text objects and the second in pages.
_LINE_HYPHENS = re.compile(f"[\x02{LINE_HYPHEN}]")
_FORMS = re.compile(r"[\ufb00-\ufdff\ufe70-\ufefc]+")
_BULLETS = re.compile(r"[\uf0a7\uf0b7\uf0a8\uf0d8\uf0fc\uf06c\uf06e\uf076]")


def replace_bullets(text: str) -> str:
    """Replace the private-use codes that word processors write for bullets."""
    return text if text.isascii() else _BULLETS.sub("•", text)


def font_claim_text(text: str) -> str:
    """Return the text of text objects without special codes that do not indicate a broken font."""
    return replace_bullets(_LINE_HYPHENS.sub("-", text))


def normalize_layer_text(text: str) -> str:
    """Normalise a layer's text: NFC, presentation forms as letters, line breaks as on the page.

    A word that is hyphenated at the end of a line stays hyphenated.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    text = text.replace("\x02", LINE_HYPHEN)
    if not text.isascii():
        # PDFium omits the line break after its hyphen code.
        text = re.sub(f"{LINE_HYPHEN}\n?", "-\n", text)
        text = re.sub("\u00ad *\n", "-\n", text).replace("\u00ad", "")
        text = replace_bullets(text)
        text = _FORMS.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
        text = unicodedata.normalize("NFC", text)
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()
