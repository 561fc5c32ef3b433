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
from app.tasks import html, tables
from app.tasks.tables import Table

MOST = 4  # lines of a header or footer
LONGEST, MOST_NUMBERS = 300, 12  # characters of such a line; numbers in it that may be the page's
QUOTED, QUOTED_LENGTH = 5, 80
NUMBER = re.compile(r"\d{1,9}")
WORD = re.compile(r"[^\W\d_]+")
# Words beside a page number. A number beside another word counts that (`Question 3`).
PAGE = {
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
BESIDE = PAGE | {"of", "제", "총", "중", "전체", "면", "第", "共", "von", "de", "sur", "di"}
FIXED = re.compile(r"\s*(\||`{3}|~{3}|\$\$|\\[\[\]]|<(table|pre)\b)")
HEADING = re.compile(r"\s*(#{1,6}\s|<h[1-6]\b)")
MARKS = re.compile(r"[#>*_`~]+")
STEP = "\0"  # delimits the difference between the printed page number and the page's index


@dataclass(frozen=True, slots=True)
class Page:
    """The text of one page. `number` counts from 1."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Joined:
    """The document's text, and a warning for each kind of change."""

    text: str
    notes: tuple[str, ...] = ()


def joined(pages: Sequence[Page], form: TextFormat) -> Joined:
    """Join the pages of one document, written in the format `form`."""
    sheets = [_Sheet(page.number, _split(page.text, form)) for page in pages if page.text.strip()]
    if len(sheets) < 2:
        return Joined("".join(page.text for page in pages))
    notes = _leave_out(sheets)
    document = _Document(form)
    ran_on = [str(sheet.number) for sheet in sheets if document.add(sheet.left())]
    if ran_on:
        where = ", ".join(ran_on)
        notes.append(f"Tables split by a page break were joined at the top of page(s) {where}.")
    return Joined("\n".join(document.units), tuple(notes))


@dataclass(slots=True)
class _Document:
    """The units (lines, or HTML blocks) of the pages so far, and the table at their end."""

    form: TextFormat
    units: list[str] = field(default_factory=list)
    table: Table | None = None

    def add(self, units: list[str]) -> bool:
        """Add the units of the next page. Returns whether they continue the table."""
        head, length = tables.head(units, self.form)
        rows = tables.run_on(self.table, head) if self.table and head else None
        if self.table and rows is not None:
            tables.append(self.units, rows, self.form)
            self.units += units[length:]
            on = replace(self.table, rows=(*self.table.rows, *rows)[-tables.SAMPLE :])
            self.table = tables.tail(units[length:], self.form) if units[length:] else on
            return True
        if units:
            gap = [""] if self.units and self.form is not TextFormat.HTML else []
            self.units += gap + units
            self.table = tables.tail(units, self.form)
        return False


@dataclass(slots=True)
class _Sheet:
    """A page's units: its lines, or in HTML its blocks. `gone` has the indices of removed ones."""

    number: int
    units: list[str]
    gone: set[int] = field(default_factory=set)

    def edge(self, last: bool) -> list[int]:
        """Indices of header or footer candidates, and one more, from the edge inwards."""
        places = range(len(self.units))
        inwards = (at for at in (reversed(places) if last else places) if self.units[at].strip())
        return list(takewhile(self._may_go, islice(inwards, MOST + 1)))

    def _may_go(self, at: int) -> bool:
        return len(self.units[at]) <= LONGEST and not FIXED.match(self.units[at])

    def left(self) -> list[str]:
        """The units that stay, without empty lines at the edges."""
        kept = [unit for at, unit in enumerate(self.units) if at not in self.gone]
        first, end = 0, len(kept)
        while first < end and not kept[first].strip():
            first += 1
        while end > first and not kept[end - 1].strip():
            end -= 1
        return kept[first:end]


def _split(text: str, form: TextFormat) -> list[str]:
    return html.blocks(text) if form is TextFormat.HTML else text.split("\n")


def _leave_out(sheets: list[_Sheet]) -> list[str]:
    """Mark repeated headers and footers as gone. Returns a warning if there are any."""
    same: dict[str, None] = {}
    numbered: dict[str, None] = {}
    headings: set[str] = set()
    for last in (False, True):
        for sheet, at, counts in _repeated(sheets, last):
            unit = sheet.units[at]
            said = _said(unit)
            stays = sheet is sheets[-1 if last else 0]
            if HEADING.match(unit):
                stays = said not in headings
                headings.add(said)
            if counts or not stays:
                sheet.gone.add(at)
                (numbered if counts else same)[said] = None
    if sum(not sheet.left() for sheet in sheets) * 2 > len(sheets):
        for sheet in sheets:
            sheet.gone.clear()
        return []
    return _told([said for said in same if WORD.search(said)], list(numbered))


def _repeated(sheets: Sequence[_Sheet], last: bool) -> Iterator[tuple[_Sheet, int, bool]]:
    """The units of headers (footers if `last`), and whether each contains the page number."""
    edges = [
        {at: _keys(sheet.units[at], sheet.number) for at in sheet.edge(last)} for sheet in sheets
    ]
    times = Counter(key for edge in edges for key in set().union(*edge.values()))
    common = {key for key, count in times.items() if count > 1 and count * 2 > len(sheets)}
    for sheet, edge in zip(sheets, edges, strict=True):
        run = list(takewhile(lambda at, edge=edge: edge[at] & common, edge))  # type: ignore[misc]
        if len(run) <= MOST:
            for at in run:
                yield sheet, at, _said(sheet.units[at]) not in common


def _keys(unit: str, page: int) -> set[str]:
    """The keys that identify a repeated unit: its text, and its text with each possible page
    number replaced by its offset to the page's index."""
    said = _said(unit)
    keys = {said}
    numbers = list(islice(NUMBER.finditer(said), MOST_NUMBERS + 1))
    for number in numbers if len(numbers) <= MOST_NUMBERS else ():
        if _is_page(said, number, page):
            step = int(number[0]) - page
            keys.add(f"{said[: number.start()]}{STEP}{step}{STEP}{said[number.end() :]}")
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
    if any(word in PAGE for word in beside):
        return True
    if all(word in BESIDE for word in beside):
        total = len(others) == 1 and int(others[0]) >= page and exact
        return not others or total
    at_an_end = number.start() == 0 or number.end() == len(said)
    return exact and at_an_end and len(beside) > 1


def _said(unit: str) -> str:
    """The text of a unit without markup, normalized (NFKC) and with single spaces."""
    plain = html.words(unit) if unit.startswith("<") else MARKS.sub(" ", unit)
    return " ".join(unicodedata.normalize("NFKC", plain).split())


def _told(same: Sequence[str], numbered: Sequence[str]) -> list[str]:
    what = [f'"{said[:QUOTED_LENGTH]}"' for said in same[:QUOTED]]
    if len(same) > QUOTED:
        what.append(f"{len(same) - QUOTED} more")
    if numbered:
        what.append(f'page numbers ("{numbered[0][:QUOTED_LENGTH]}")')
    return [f"Repeated headers and footers were left out: {', '.join(what)}."] if what else []
