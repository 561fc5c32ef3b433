"""Sanitizes HTML that a model wrote. Its content is untrusted.

Only the tags and attributes listed below remain: no script, style, event handler or URL, so that
displaying the result neither runs nor fetches anything. ammonia (nh3) does the sanitizing. It
parses as browsers do (html5ever) and closes open tags, so that each block is well-formed.
"""

import re
from collections import Counter
from html import escape, unescape

import nh3

from app.tasks.parsers.base import AnswerParser
from app.tasks.parsers.code_fence import CodeFenceParser

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
WRAPPER_TAGS = "html|body|head|div|section|article|main|header|footer|meta|link"
SPACE = re.compile(r"\s+")
SKIPPABLE = re.compile(rf"\s+|<![^>-][^>]*>|</[^>]*>|<(?:{WRAPPER_TAGS})\b[^>]*>", re.IGNORECASE)
WRAPPER_END = re.compile(rf"</(?:{WRAPPER_TAGS})\s*>", re.IGNORECASE)
BLOCK_START = re.compile(rf"<(?:{'|'.join(sorted(BLOCKS | DROPPED))})(?=[\s/>])", re.IGNORECASE)
# TeX between dollar signs by pandoc's rule: no space inside either end, no digit after it.
FORMULA = re.compile(r"\$\$.+?\$\$|\$(?=\S)[^$\n]*?(?<=\S)\$(?!\d)", re.DOTALL)
TAG = re.compile(r"</?[a-zA-Z][^<>]*>")

# Limits on what the HTML5 parsing algorithm takes more than linear time for: nested elements, and
# open inline elements, which every paragraph reopens.
MAX_BLOCK_CHARACTERS = 100_000  # characters of a block; a longer one becomes plain text
UNCHECKED_TAGS = 500  # tags that are parsed fast in any nesting
MAX_INLINE, MAX_NESTED = 1000, 500
SELF_CLOSING = "li|p|td|th|tr|thead|tbody|tfoot|dt|dd|caption|br|hr"
INLINE = "strong|em|b|i|u|s|sub|sup|code"
NESTING = "h1|h2|h3|h4|h5|h6|ul|ol|dl|table|pre|blockquote|script|style|title|template"
OPENED = re.compile(r"<([a-zA-Z][a-zA-Z0-9]*)")
INLINE_TAG = re.compile(rf"<(/?(?:{INLINE}))\b[^>]*>", re.IGNORECASE)
OTHER_TAG = re.compile(
    rf"</?(?!(?:{SELF_CLOSING}|{INLINE}|{NESTING})(?![^\s/>]))[a-zA-Z][^>]*>", re.IGNORECASE
)
ALWAYS_SCANNED_CHARACTERS = 2048  # characters that are scanned for a complete block on every piece


class HtmlParser(AnswerParser):
    """Emits sanitized blocks (headings, paragraphs, lists, tables), each as soon as it is complete
    and on a new line."""

    def __init__(self) -> None:
        self._fence = CodeFenceParser({"", "html"})
        self._raw: list[str] = []
        self._pending: list[str] = []  # input without a complete block
        self._pending_length = 0  # of `_left`
        self._next_scan_length = 0  # length of `_left` from which it is scanned again
        self._has_text = False

    def feed(self, text: str) -> str:
        self._raw.append(text)
        self._append(self._fence.feed(text))
        if ">" not in text or self._pending_length < self._next_scan_length:
            return ""
        found, left = _split_complete("".join(self._pending))
        self._pending, self._pending_length = [], 0
        self._append(left)
        self._next_scan_length = (
            len(left) + len(left) // 8 if len(left) > ALWAYS_SCANNED_CHARACTERS else 0
        )
        return self._join(found)

    def finish(self) -> str:
        found, left = _split_complete("".join(self._pending) + self._fence.finish())
        self._pending = []
        return self._join([*found, left])

    def retract(self, characters: int) -> int:
        """Shorten the incomplete block. Blocks that were emitted stay."""
        characters = self._fence.retract(characters)
        left = "".join(self._pending)
        self._pending, self._pending_length = [], 0
        self._append(left[: max(0, len(left) - characters)])
        return 0

    def raw_text(self) -> str:
        return "".join(self._raw)

    def _append(self, text: str) -> None:
        self._pending.append(text)
        self._pending_length += len(text)

    def _join(self, written: list[str]) -> str:
        said = "\n".join(filter(None, map(sanitize, written)))
        gap = "\n" if said and self._has_text else ""
        self._has_text = self._has_text or bool(said)
        return gap + said


def sanitize(written: str) -> str:
    """Sanitize blocks of HTML. Text outside any block becomes a paragraph that keeps its line
    breaks. Input that would take more than linear time loses its inline tags, or all tags."""
    kept = _bounded(FORMULA.sub(_escape_formula, _strip_tail(written)))
    if kept is None:
        return _paragraphs(escape(strip_tags(written), quote=False).strip())
    cleaned = nh3.clean(
        kept, tags=TAGS, attributes=ATTRIBUTES, clean_content_tags=DROPPED, link_rel=None
    ).strip()
    return cleaned if not cleaned or BLOCK_START.search(cleaned) else _paragraphs(cleaned)


def _paragraphs(text: str) -> str:
    paragraphs = re.split(r"\n\s*\n", text)
    return "\n".join(f"<p>{'<br>'.join(one.strip().splitlines())}</p>" for one in paragraphs)


def _strip_tail(text: str) -> str:
    """The text without trailing white space and closing tags of containers."""
    end = len(text)
    while True:
        while end and text[end - 1].isspace():
            end -= 1
        tag = text.rfind("<", 0, end) if end and text[end - 1] == ">" else -1
        if tag < 0 or not WRAPPER_END.fullmatch(text, tag, end):
            return text[:end]
        end = tag


def _bounded(written: str) -> str | None:
    """The input reduced so that it is sanitized in linear time; None if that is impossible."""
    if len(written) > MAX_BLOCK_CHARACTERS:
        return None
    if written.count("<") <= UNCHECKED_TAGS:
        return written
    end = written.rfind(">") + 1  # no tag follows
    kept = INLINE_TAG.sub(r"<\1>", OTHER_TAG.sub("", written[:end]))
    if _count(kept, INLINE) > MAX_INLINE:
        kept = INLINE_TAG.sub("", kept)
    if _count(kept, NESTING) > MAX_NESTED or _count(kept, INLINE) > MAX_INLINE:
        return None
    return kept + written[end:]


def _count(written: str, names: str) -> int:
    opened = Counter(map(str.lower, OPENED.findall(written)))
    return sum(opened[name] for name in names.split("|"))


def split_blocks(text: str) -> list[str]:
    """The blocks of sanitized HTML."""
    found, left = _split_complete(text)
    return [*found, left] if left.strip() else found


def strip_tags(block: str) -> str:
    """The text of a block, without tags and with entities decoded."""
    bare = TAG.sub(" ", block)
    try:
        return unescape(bare)
    except ValueError:  # `&#` followed by more digits than Python converts
        return bare


def _escape_formula(formula: re.Match[str]) -> str:
    """Escape `<` in a formula. Text with tags between two dollar signs (prices) is unchanged."""
    return formula[0] if TAG.search(formula[0]) else formula[0].replace("<", "&lt;")


def _split_complete(text: str) -> tuple[list[str], str]:
    """The complete blocks, unchanged, and the rest of the text."""
    found: list[str] = []
    at = 0
    tags_end, comments_end = text.rfind(">") + 1, text.rfind("-->") + 3
    while True:
        at = _skip(text, at, tags_end, comments_end)
        opening = BLOCK_START.search(text, at)
        if not opening:
            break
        end = opening.start() if opening.start() > at else _block_end(text, at, tags_end)
        if not end:
            break
        found.append(text[at:end].rstrip())
        at = end
    return found, text[at:]


def _skip(text: str, at: int, tags_end: int, comments_end: int) -> int:
    """The index after space, comments and tags that belong to no block."""
    while True:
        if text.startswith("<!--", at):
            if at + 7 > comments_end:
                return at
            at = text.index("-->", at + 4) + 3
        elif skipped := SKIPPABLE.match(text, at, max(tags_end, at)) or SPACE.match(text, at):
            at = skipped.end()
        else:
            return at


def _block_end(text: str, at: int, tags_end: int) -> int:
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
