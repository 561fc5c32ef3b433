"""HTML that a model wrote, made safe and sound: what it says is not trusted.

Of what it wrote only the tags below are left, of their attributes only those below: no script, no
style, no event handler, no address, so that showing it neither runs nor fetches anything. The
cleaning is ammonia's (nh3), whose parser is that of browsers (html5ever); it also closes what is
open, so each block is sound by itself.
"""

import re
from collections import Counter
from html import escape, unescape

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
SPACE = re.compile(r"\s+")
SKIPPED = re.compile(rf"\s+|<![^>-][^>]*>|</[^>]*>|<(?:{AROUND})\b[^>]*>", re.IGNORECASE)
CLOSES_AROUND = re.compile(rf"</(?:{AROUND})\s*>", re.IGNORECASE)
OPENS = re.compile(rf"<(?:{'|'.join(sorted(BLOCKS | DROPPED))})(?=[\s/>])", re.IGNORECASE)
# TeX between dollars, by pandoc's rule: no space inside at either end, no digit behind.
FORMULA = re.compile(r"\$\$.+?\$\$|\$(?=\S)[^$\n]*?(?<=\S)\$(?!\d)", re.DOTALL)
TAG = re.compile(r"</?[a-zA-Z][^<>]*>")

# What browsers' parsing (and so html5ever's) takes more than linear time for: elements in one
# another, and inline ones that are still open, which each paragraph opens again.
LONGEST = 100_000  # characters of a block; a longer one is taken as text
FEW = 500  # tags in which no harm can be
MOST_INLINE, MOST_NESTED = 1000, 500
ENDS_BY_ITSELF = "li|p|td|th|tr|thead|tbody|tfoot|dt|dd|caption|br|hr"
INLINE = "strong|em|b|i|u|s|sub|sup|code"
NESTS = "h1|h2|h3|h4|h5|h6|ul|ol|dl|table|pre|blockquote|script|style|title|template"
OPENED = re.compile(r"<([a-zA-Z][a-zA-Z0-9]*)")
INLINE_TAG = re.compile(rf"<(/?(?:{INLINE}))\b[^>]*>", re.IGNORECASE)
OTHER_TAG = re.compile(
    rf"</?(?!(?:{ENDS_BY_ITSELF}|{INLINE}|{NESTS})(?![^\s/>]))[a-zA-Z][^>]*>", re.IGNORECASE
)
SMALL = 2048  # characters that are looked through each time for a whole block


class HtmlReader(Reader):
    """Blocks (headings, paragraphs, lists, tables), clean, each as soon as it is whole; each begins
    a line."""

    def __init__(self) -> None:
        self._fence = Unfenced({"", "html"})
        self._raw: list[str] = []
        self._left: list[str] = []  # of which no block is whole yet
        self._length = 0  # of that
        self._looked = 0  # the length from which it is looked through again
        self._told = False

    def feed(self, text: str) -> str:
        self._raw.append(text)
        self._hold(self._fence.feed(text))
        if ">" not in text or self._length < self._looked:
            return ""
        found, left = _split("".join(self._left))
        self._left, self._length = [], 0
        self._hold(left)
        self._looked = len(left) + len(left) // 8 if len(left) > SMALL else 0
        return self._said(found)

    def end(self) -> str:
        found, left = _split("".join(self._left) + self._fence.end())
        self._left = []
        return self._said([*found, left])

    def cut(self, characters: int) -> int:
        """Blocks that are out stay; what is not whole yet is shortened."""
        characters = self._fence.cut(characters)
        left = "".join(self._left)
        self._left, self._length = [], 0
        self._hold(left[: max(0, len(left) - characters)])
        return 0

    def raw(self) -> str:
        return "".join(self._raw)

    def _hold(self, text: str) -> None:
        self._left.append(text)
        self._length += len(text)

    def _said(self, written: list[str]) -> str:
        said = "\n".join(filter(None, map(clean, written)))
        gap = "\n" if said and self._told else ""
        self._told = self._told or bool(said)
        return gap + said


def clean(written: str) -> str:
    """Blocks made safe and sound; text that is in none becomes a paragraph with its lines. What
    would take more than linear time loses its inline tags, or all of them."""
    kept = _level(FORMULA.sub(_escaped, _without_tail(written)))
    if kept is None:
        return _paragraphs(escape(words(written), quote=False).strip())
    cleaned = nh3.clean(
        kept, tags=TAGS, attributes=ATTRIBUTES, clean_content_tags=DROPPED, link_rel=None
    ).strip()
    return cleaned if not cleaned or OPENS.search(cleaned) else _paragraphs(cleaned)


def _paragraphs(text: str) -> str:
    paragraphs = re.split(r"\n\s*\n", text)
    return "\n".join(f"<p>{'<br>'.join(one.strip().splitlines())}</p>" for one in paragraphs)


def _without_tail(text: str) -> str:
    """Without white space and closing tags of what stands around blocks, at the end."""
    end = len(text)
    while True:
        while end and text[end - 1].isspace():
            end -= 1
        tag = text.rfind("<", 0, end) if end and text[end - 1] == ">" else -1
        if tag < 0 or not CLOSES_AROUND.fullmatch(text, tag, end):
            return text[:end]
        end = tag


def _level(written: str) -> str | None:
    """The same, so that it is cleaned in linear time; None where that cannot be."""
    if len(written) > LONGEST:
        return None
    if written.count("<") <= FEW:
        return written
    end = written.rfind(">") + 1  # behind it there is no tag
    kept = INLINE_TAG.sub(r"<\1>", OTHER_TAG.sub("", written[:end]))
    if _count(kept, INLINE) > MOST_INLINE:
        kept = INLINE_TAG.sub("", kept)
    if _count(kept, NESTS) > MOST_NESTED or _count(kept, INLINE) > MOST_INLINE:
        return None
    return kept + written[end:]


def _count(written: str, names: str) -> int:
    opened = Counter(map(str.lower, OPENED.findall(written)))
    return sum(opened[name] for name in names.split("|"))


def blocks(text: str) -> list[str]:
    """The blocks of what was cleaned."""
    found, left = _split(text)
    return [*found, left] if left.strip() else found


def words(block: str) -> str:
    """What a block says, without its tags."""
    bare = TAG.sub(" ", block)
    try:
        return unescape(bare)
    except ValueError:  # `&#` and more digits than Python makes a number of
        return bare


def _escaped(formula: re.Match[str]) -> str:
    """`<` in a formula is no tag; between dollars that are prices, tags are tags."""
    return formula[0] if TAG.search(formula[0]) else formula[0].replace("<", "&lt;")


def _split(text: str) -> tuple[list[str], str]:
    """The blocks that are whole, as they were written, and what is left."""
    found: list[str] = []
    at = 0
    tags_end, comments_end = text.rfind(">") + 1, text.rfind("-->") + 3
    while True:
        at = _skipped(text, at, tags_end, comments_end)
        opening = OPENS.search(text, at)
        if not opening:
            break
        end = opening.start() if opening.start() > at else _end(text, at, tags_end)
        if not end:
            break
        found.append(text[at:end].rstrip())
        at = end
    return found, text[at:]


def _skipped(text: str, at: int, tags_end: int, comments_end: int) -> int:
    """Behind the space, comments and tags that are no part of a block."""
    while True:
        if text.startswith("<!--", at):
            if at + 7 > comments_end:
                return at
            at = text.index("-->", at + 4) + 3
        elif skipped := SKIPPED.match(text, at, max(tags_end, at)) or SPACE.match(text, at):
            at = skipped.end()
        else:
            return at


def _end(text: str, at: int, tags_end: int) -> int:
    """Behind the block that begins there; 0 where it is not whole."""
    opening = NAME.match(text, at)
    name = opening[1].lower() if opening else ""
    if name == "hr":
        return text.find(">", at) + 1
    depth = 0
    for tag in re.compile(rf"<(/?){name}\b[^>]*>", re.IGNORECASE).finditer(text, at, tags_end):
        depth += -1 if tag[1] else 1
        if depth <= 0:
            return tag.end()
    return 0
