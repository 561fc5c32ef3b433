"""HTML that a model wrote, made safe and sound: what it says is not trusted.

Of what it wrote only the tags below are left, of their attributes only those below: no script, no
style, no event handler, no address, so that showing it neither runs nor fetches anything. The
cleaning is ammonia's (nh3), whose parser is that of browsers (html5ever); it also closes what is
open, so each block is sound by itself.
"""

import re
from html import unescape

import nh3

from app.tasks.reader import Reader
from app.tasks.unfenced import Unfenced

BLOCKS = {
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "p",
    "ul",
    "ol",
    "dl",
    "table",
    "pre",
    "blockquote",
    "hr",
}
TAGS = BLOCKS | {
    "li",
    "dt",
    "dd",
    "thead",
    "tbody",
    "tfoot",
    "tr",
    "th",
    "td",
    "caption",
    "br",
    "strong",
    "em",
    "b",
    "i",
    "u",
    "s",
    "sub",
    "sup",
    "code",
}
ATTRIBUTES = {name: {"colspan", "rowspan"} for name in ("td", "th")} | {"ol": {"start"}}
DROPPED = {"script", "style", "title", "template"}  # with all that is in them

NAME = re.compile(r"<([a-zA-Z][a-zA-Z0-9]*)\b")
# Around blocks stand html, body, div and others, which are left out; their blocks come one by one.
AROUND = "html|body|head|div|section|article|main|header|footer|meta|link"
SKIPPED = re.compile(
    rf"\s+|<!--.*?-->|<![^>-][^>]*>|</[^>]*>|<(?:{AROUND})\b[^>]*>", re.DOTALL | re.IGNORECASE
)
TAIL = re.compile(rf"(?:\s|</(?:{AROUND})\s*>)+$", re.IGNORECASE)
OPENS = re.compile(rf"<(?:{'|'.join(sorted(BLOCKS | DROPPED))})(?=[\s/>])", re.IGNORECASE)
# TeX between dollars, by pandoc's rule: no space inside at either end, no digit behind.
FORMULA = re.compile(r"\$\$.+?\$\$|\$(?=\S)[^$\n]*?(?<=\S)\$(?!\d)", re.DOTALL)
TAG = re.compile(r"</?[a-zA-Z][^<>]*>")


class HtmlReader(Reader):
    """Blocks (headings, paragraphs, lists, tables), clean, each as soon as it is whole; each begins
    a line."""

    def __init__(self) -> None:
        self._fence = Unfenced({"", "html"})
        self._raw: list[str] = []
        self._left = ""  # of which no block is whole yet
        self._told = False

    def feed(self, text: str) -> str:
        self._raw.append(text)
        self._left += self._fence.feed(text)
        if ">" not in text:
            return ""
        found, self._left = _split(self._left)
        return self._said(found)

    def end(self) -> str:
        found, left = _split(self._left + self._fence.end())
        self._left = ""
        return self._said([*found, left])

    def cut(self, characters: int) -> int:
        """Blocks that are out stay; what is not whole yet is shortened."""
        characters = self._fence.cut(characters)
        self._left = self._left[: max(0, len(self._left) - characters)]
        return 0

    def raw(self) -> str:
        return "".join(self._raw)

    def _said(self, written: list[str]) -> str:
        said = "\n".join(filter(None, map(clean, written)))
        gap = "\n" if said and self._told else ""
        self._told = self._told or bool(said)
        return gap + said


def clean(written: str) -> str:
    """Blocks made safe and sound; text that is in none becomes a paragraph with its lines."""
    kept = FORMULA.sub(_escaped, TAIL.sub("", written))
    cleaned = nh3.clean(
        kept, tags=TAGS, attributes=ATTRIBUTES, clean_content_tags=DROPPED, link_rel=None
    ).strip()
    if not cleaned or OPENS.search(cleaned):
        return cleaned
    paragraphs = re.split(r"\n\s*\n", cleaned)
    return "\n".join(f"<p>{'<br>'.join(one.strip().splitlines())}</p>" for one in paragraphs)


def blocks(text: str) -> list[str]:
    """The blocks of what was cleaned."""
    found, left = _split(text)
    return [*found, left] if left.strip() else found


def words(block: str) -> str:
    """What a block says, without its tags."""
    return unescape(TAG.sub(" ", block))


def _escaped(formula: re.Match[str]) -> str:
    """`<` in a formula is no tag; between dollars that are prices, tags are tags."""
    return formula[0] if TAG.search(formula[0]) else formula[0].replace("<", "&lt;")


def _split(text: str) -> tuple[list[str], str]:
    """The blocks that are whole, as they were written, and what is left."""
    found: list[str] = []
    while True:
        while skipped := SKIPPED.match(text):
            text = text[skipped.end() :]
        opening = OPENS.search(text)
        end = (opening.start() or _end(text)) if opening else 0
        if not end:
            return found, text
        found.append(text[:end].rstrip())
        text = text[end:]


def _end(text: str) -> int:
    """Behind the block that the text begins with; 0 where it is not whole."""
    opening = NAME.match(text)
    name = opening[1].lower() if opening else ""
    if name == "hr":
        return text.find(">") + 1
    depth = 0
    for tag in re.finditer(rf"<(/?){name}\b[^>]*>", text, re.IGNORECASE):
        depth += -1 if tag[1] else 1
        if depth <= 0:
            return tag.end()
    return 0
