"""Sanitizes HTML that a model wrote. Its content is untrusted.

Only the tags and attributes listed below remain: no script, style, event handler or URL, so that
displaying the result neither runs nor fetches anything. ammonia (nh3) does the sanitizing. It
parses as browsers do (html5ever) and closes open tags, so that each block is well-formed.
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
DROPPED = {"script", "style", "title", "template"}  # removed together with their content

NAME = re.compile(r"<([a-zA-Z][a-zA-Z0-9]*)\b")
# Containers around blocks. They are removed; their blocks are emitted one by one.
AROUND = "html|body|head|div|section|article|main|header|footer|meta|link"
SPACE = re.compile(r"\s+")
SKIPPED = re.compile(rf"\s+|<![^>-][^>]*>|</[^>]*>|<(?:{AROUND})\b[^>]*>", re.IGNORECASE)
CLOSES_AROUND = re.compile(rf"</(?:{AROUND})\s*>", re.IGNORECASE)
OPENS = re.compile(rf"<(?:{'|'.join(sorted(BLOCKS | DROPPED))})(?=[\s/>])", re.IGNORECASE)
# TeX between dollar signs by pandoc's rule: no space inside either end, no digit after it.
FORMULA = re.compile(r"\$\$.+?\$\$|\$(?=\S)[^$\n]*?(?<=\S)\$(?!\d)", re.DOTALL)
TAG = re.compile(r"</?[a-zA-Z][^<>]*>")

# Limits on what the HTML5 parsing algorithm takes more than linear time for: nested elements, and
# open inline elements, which every paragraph reopens.
LONGEST = 100_000  # characters of a block; a longer one becomes plain text
FEW = 500  # tags that are parsed fast in any nesting
MOST_INLINE, MOST_NESTED = 1000, 500
ENDS_BY_ITSELF = "li|p|td|th|tr|thead|tbody|tfoot|dt|dd|caption|br|hr"
INLINE = "strong|em|b|i|u|s|sub|sup|code"
NESTS = "h1|h2|h3|h4|h5|h6|ul|ol|dl|table|pre|blockquote|script|style|title|template"
OPENED = re.compile(r"<([a-zA-Z][a-zA-Z0-9]*)")
INLINE_TAG = re.compile(rf"<(/?(?:{INLINE}))\b[^>]*>", re.IGNORECASE)
OTHER_TAG = re.compile(
    rf"</?(?!(?:{ENDS_BY_ITSELF}|{INLINE}|{NESTS})(?![^\s/>]))[a-zA-Z][^>]*>", re.IGNORECASE
)
SMALL = 2048  # characters that are scanned for a complete block on every piece


class HtmlReader(Reader):
    """Emits sanitized blocks (headings, paragraphs, lists, tables), each as soon as it is complete
    and on a new line."""

    def __init__(self) -> None:
        self._fence = Unfenced({"", "html"})
        self._raw: list[str] = []
        self._left: list[str] = []  # input without a complete block
        self._length = 0  # of `_left`
        self._looked = 0  # length of `_left` from which it is scanned again
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
        """Shorten the incomplete block. Blocks that were emitted stay."""
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
    """Sanitize blocks of HTML. Text outside any block becomes a paragraph that keeps its line
    breaks. Input that would take more than linear time loses its inline tags, or all tags."""
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
    """The text without trailing white space and closing tags of containers."""
    end = len(text)
    while True:
        while end and text[end - 1].isspace():
            end -= 1
        tag = text.rfind("<", 0, end) if end and text[end - 1] == ">" else -1
        if tag < 0 or not CLOSES_AROUND.fullmatch(text, tag, end):
            return text[:end]
        end = tag


def _level(written: str) -> str | None:
    """The input reduced so that it is sanitized in linear time; None if that is impossible."""
    if len(written) > LONGEST:
        return None
    if written.count("<") <= FEW:
        return written
    end = written.rfind(">") + 1  # no tag follows
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
    """The blocks of sanitized HTML."""
    found, left = _split(text)
    return [*found, left] if left.strip() else found


def words(block: str) -> str:
    """The text of a block, without tags and with entities decoded."""
    bare = TAG.sub(" ", block)
    try:
        return unescape(bare)
    except ValueError:  # `&#` followed by more digits than Python converts
        return bare


def _escaped(formula: re.Match[str]) -> str:
    """Escape `<` in a formula. Text with tags between two dollar signs (prices) is unchanged."""
    return formula[0] if TAG.search(formula[0]) else formula[0].replace("<", "&lt;")


def _split(text: str) -> tuple[list[str], str]:
    """The complete blocks, unchanged, and the rest of the text."""
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
    """The index after space, comments and tags that belong to no block."""
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
    """The index after the block that begins at `at`; 0 if the block is incomplete."""
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
