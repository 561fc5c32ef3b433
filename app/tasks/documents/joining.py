"""Joins the texts of a document's pages: removes repeated headers and footers, and joins tables
that continue over a page break. Nothing else changes.

A header or footer is a line among the first or last few of a page that repeats there on most
pages, identical or with the page number in it. The first page keeps its header and the last page
its footer. Page numbers are removed. If more lines repeat than a header can have, the pages are
alike and nothing is removed. Rows of tables, code and formulas are never headers, and a heading
stays at its first occurrence.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile

from app.schemas import TextFormat
from app.tasks.documents import tables
from app.tasks.documents.tables import Table
from app.tasks.parsers import html

MAX_EDGE_LINES = 4  # lines of a header or footer
MAX_LINE_CHARACTERS, MAX_NUMBERS = (
    300,
    12,
)  # characters of such a line; numbers in it that may be the page's
MAX_QUOTED_LINES, MAX_QUOTED_CHARACTERS = 5, 80
NUMBER = re.compile(r"\d{1,9}")
WORD = re.compile(r"[^\W\d_]+")
# Words beside a page number. A number beside another word counts that (`Question 3`).
PAGE_WORDS = {
    "page",
    "pages",
    "p",
    "pg",
    "pp",
    "쪽",
    "페이지",
    "ページ",
    "頁",
    "页",
    "seite",
    "página",
    "pagina",
}
PAGE_NUMBER_WORDS = PAGE_WORDS | {
    "of",
    "제",
    "총",
    "중",
    "전체",
    "면",
    "第",
    "共",
    "von",
    "de",
    "sur",
    "di",
}
NEVER_REMOVED = re.compile(r"\s*(\||`{3}|~{3}|\$\$|\\[\[\]]|<(table|pre)\b)")
HEADING = re.compile(r"\s*(#{1,6}\s|<h[1-6]\b)")
MARKUP_CHARACTERS = re.compile(r"[#>*_`~]+")
OFFSET_MARK = "\0"  # delimits the difference between the printed page number and the page's index


@dataclass(frozen=True, slots=True)
class PageText:
    """The text of one page. `number` counts from 1."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class JoinedDocument:
    """The document's text, and a warning for each kind of change."""

    text: str
    notes: tuple[str, ...] = ()


def join_pages(pages: Sequence[PageText], text_format: TextFormat) -> JoinedDocument:
    """Join the pages of one document, written in `text_format`."""
    pages_units = [
        _PageUnits(page.number, _split_units(page.text, text_format))
        for page in pages
        if page.text.strip()
    ]
    if len(pages_units) < 2:
        return JoinedDocument("".join(page.text for page in pages))
    notes = _remove_repeated(pages_units)
    document = _Document(text_format)
    continued = [str(sheet.number) for sheet in pages_units if document.add(sheet.remaining())]
    if continued:
        where = ", ".join(continued)
        notes.append(f"Tables split by a page break were joined at the top of page(s) {where}.")
    return JoinedDocument("\n".join(document.units), tuple(notes))


@dataclass(slots=True)
class _Document:
    """The units (lines, or HTML blocks) of the pages so far, and the table at their end."""

    form: TextFormat
    units: list[str] = field(default_factory=list)
    table: Table | None = None

    def add(self, units: list[str]) -> bool:
        """Add the units of the next page. Returns whether they continue the table."""
        head, length = tables.leading_table(units, self.form)
        rows = tables.continuation_rows(self.table, head) if self.table and head else None
        if self.table and rows is not None:
            tables.append_rows(self.units, rows, self.form)
            self.units += units[length:]
            on = replace(self.table, rows=(*self.table.rows, *rows)[-tables.SAMPLED_ROWS :])
            self.table = tables.trailing_table(units[length:], self.form) if units[length:] else on
            return True
        if units:
            gap = [""] if self.units and self.form is not TextFormat.HTML else []
            self.units += gap + units
            self.table = tables.trailing_table(units, self.form)
        return False


@dataclass(slots=True)
class _PageUnits:
    """A page's units: its lines, or in HTML its blocks. `removed` holds their indices."""

    number: int
    units: list[str]
    removed: set[int] = field(default_factory=set)

    def edge_units(self, last: bool) -> list[int]:
        """Indices of header or footer candidates, and one more, from the edge inwards."""
        places = range(len(self.units))
        inwards = (at for at in (reversed(places) if last else places) if self.units[at].strip())
        return list(takewhile(self._removable, islice(inwards, MAX_EDGE_LINES + 1)))

    def _removable(self, at: int) -> bool:
        return len(self.units[at]) <= MAX_LINE_CHARACTERS and not NEVER_REMOVED.match(
            self.units[at]
        )

    def remaining(self) -> list[str]:
        """The units that stay, without empty lines at the edges."""
        kept = [unit for at, unit in enumerate(self.units) if at not in self.removed]
        first, end = 0, len(kept)
        while first < end and not kept[first].strip():
            first += 1
        while end > first and not kept[end - 1].strip():
            end -= 1
        return kept[first:end]


def _split_units(text: str, text_format: TextFormat) -> list[str]:
    return html.split_blocks(text) if text_format is TextFormat.HTML else text.split("\n")


def _remove_repeated(sheets: list[_PageUnits]) -> list[str]:
    """Mark repeated headers and footers as removed. Returns a warning if there are any."""
    same: dict[str, None] = {}
    numbered: dict[str, None] = {}
    headings: set[str] = set()
    for last in (False, True):
        for sheet, at, counts in _repeated(sheets, last):
            unit = sheet.units[at]
            said = _normalized_text(unit)
            stays = sheet is sheets[-1 if last else 0]
            if HEADING.match(unit):
                stays = said not in headings
                headings.add(said)
            if counts or not stays:
                sheet.removed.add(at)
                (numbered if counts else same)[said] = None
    if sum(not sheet.remaining() for sheet in sheets) * 2 > len(sheets):
        for sheet in sheets:
            sheet.removed.clear()
        return []
    return _removal_notes([said for said in same if WORD.search(said)], list(numbered))


def _repeated(sheets: Sequence[_PageUnits], last: bool) -> Iterator[tuple[_PageUnits, int, bool]]:
    """The units of headers (footers if `last`), and whether each contains the page number."""
    edges = [
        {at: _match_keys(sheet.units[at], sheet.number) for at in sheet.edge_units(last)}
        for sheet in sheets
    ]
    times = Counter(key for edge in edges for key in set().union(*edge.values()))
    common = {key for key, count in times.items() if count > 1 and count * 2 > len(sheets)}
    for sheet, edge in zip(sheets, edges, strict=True):
        run = list(takewhile(lambda at, edge=edge: edge[at] & common, edge))  # type: ignore[misc]
        if len(run) <= MAX_EDGE_LINES:
            for at in run:
                yield sheet, at, _normalized_text(sheet.units[at]) not in common


def _match_keys(unit: str, page: int) -> set[str]:
    """The keys that identify a repeated unit: its text, and its text with each possible page
    number replaced by its offset to the page's index."""
    said = _normalized_text(unit)
    keys = {said}
    numbers = list(islice(NUMBER.finditer(said), MAX_NUMBERS + 1))
    for number in numbers if len(numbers) <= MAX_NUMBERS else ():
        if _is_page(said, number, page):
            step = int(number[0]) - page
            keys.add(
                f"{said[: number.start()]}{OFFSET_MARK}{step}{OFFSET_MARK}{said[number.end() :]}"
            )
    return keys


def _is_page(said: str, number: re.Match[str], page: int) -> bool:
    """Whether a number may be the page number.

    It is one if it stands alone, with the page count, or beside a word for page; at the start or
    end of a title only if it equals the page's index.
    """
    rest = f"{said[: number.start()]} {said[number.end() :]}"
    beside = WORD.findall(rest.casefold())
    others = NUMBER.findall(rest)
    exact = int(number[0]) == page
    if any(word in PAGE_WORDS for word in beside):
        return True
    if all(word in PAGE_NUMBER_WORDS for word in beside):
        total = len(others) == 1 and int(others[0]) >= page and exact
        return not others or total
    at_an_end = number.start() == 0 or number.end() == len(said)
    return exact and at_an_end and len(beside) > 1


def _normalized_text(unit: str) -> str:
    """The text of a unit without markup, normalized (NFKC) and with single spaces."""
    plain = html.strip_tags(unit) if unit.startswith("<") else MARKUP_CHARACTERS.sub(" ", unit)
    return " ".join(unicodedata.normalize("NFKC", plain).split())


def _removal_notes(same: Sequence[str], numbered: Sequence[str]) -> list[str]:
    what = [f'"{said[:MAX_QUOTED_CHARACTERS]}"' for said in same[:MAX_QUOTED_LINES]]
    if len(same) > MAX_QUOTED_LINES:
        what.append(f"{len(same) - MAX_QUOTED_LINES} more")
    if numbered:
        what.append(f'page numbers ("{numbered[0][:MAX_QUOTED_CHARACTERS]}")')
    return [f"Repeated headers and footers were left out: {', '.join(what)}."] if what else []
