"""Joins Markdown and HTML tables that continue over a page break.

Two tables are one if they have the same number of columns and no text between them. Models write a
header row on every page, so the words of the second header decide: the header of the first table
is dropped; words in a column of numbers belong to a new table; any other header is a data row.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile

from app.schemas import TextFormat
from app.tasks.parsers.html import strip_tags

Cells = tuple[str, ...]
DELIMITER_CELL = re.compile(r"\s*:?-+:?\s*")
UNESCAPED_PIPE = re.compile(r"(?<!\\)\|")
SAMPLED_ROWS = 40  # rows that decide whether a column is numeric
# An amount, a date or a percentage: digits with an optional sign, currency or unit.
MAX_NUMBER_CHARACTERS = 64  # characters of such a cell
NUMBER = re.compile(r"[^\w\s]*\s*[A-Z]{0,3}\s*\d[\d.,:/\s%+-]*\w{0,3}[^\w\s]*")


@dataclass(frozen=True)
class Row:
    """A row: its source text and its cells."""

    text: str
    cells: Cells

    @cached_property
    def normalized_cells(self) -> Cells:
        return tuple(" ".join(re.sub(r"[*_`]", "", cell).split()).casefold() for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Table:
    """A table: the number of columns, the header row if there is one, and the other rows."""

    columns: int
    header: Row | None
    rows: tuple[Row, ...]


def continuation_rows(first: Table, second: Table) -> list[Row] | None:
    """The rows of `second` that continue `first`; None if `second` is another table."""
    if first.columns != second.columns:
        return None
    header = second.header
    if header is None:
        return list(second.rows)
    if not any(header.normalized_cells) or (
        first.header and header.normalized_cells == first.header.normalized_cells
    ):
        return list(second.rows)
    numeric = _numeric_columns(first.columns, first.rows) + _numeric_columns(
        first.columns, second.rows
    )
    if any(
        header.normalized_cells[at] and not _is_number(header.normalized_cells[at])
        for at in numeric
    ):
        return None
    return [header, *second.rows]


def _numeric_columns(columns: int, rows: Sequence[Row]) -> list[int]:
    """Indices of the columns whose cells are mostly numbers."""
    found = []
    for at in range(columns):
        said = [
            row.normalized_cells[at]
            for row in rows[-SAMPLED_ROWS:]
            if at < len(row.normalized_cells) and row.normalized_cells[at]
        ]
        if sum(map(_is_number, said)) * 2 > len(said):
            found.append(at)
    return found


def _is_number(cell: str) -> bool:
    return len(cell) <= MAX_NUMBER_CHARACTERS and bool(NUMBER.fullmatch(cell.upper()))


def leading_table(units: Sequence[str], text_format: TextFormat) -> tuple[Table | None, int]:
    """The table at the start of a page, and its number of units (lines, or HTML blocks)."""
    if text_format is TextFormat.HTML:
        return (_parse_html(units[0]), 1) if units else (None, 0)
    length = sum(1 for _ in takewhile(_may_be_row, units))
    return (
        (_parse_markdown(units[:length]), length)
        if text_format is TextFormat.MARKDOWN
        else (None, 0)
    )


def trailing_table(units: Sequence[str], text_format: TextFormat) -> Table | None:
    """The table at the end of a page. In Markdown it must have a header."""
    if text_format is TextFormat.HTML:
        return _parse_html(units[-1]) if units else None
    if text_format is TextFormat.TEXT:
        return None
    behind = len(units) - sum(1 for _ in takewhile(_may_be_row, reversed(units)))
    rule = next((at for at in range(behind + 1, len(units)) if _is_delimiter_row(units[at])), None)
    return _parse_markdown(units[rule - 1 :]) if rule else None


def append_rows(units: list[str], rows: Sequence[Row], text_format: TextFormat) -> None:
    """Append rows to the table at the end of `units`."""
    if text_format is TextFormat.HTML:
        units[-1] = _append_html_rows(units[-1], rows)
    else:
        units += [row.text for row in rows]


def _parse_markdown(lines: Sequence[str]) -> Table | None:
    """The table made of all these lines. A table without a header is recognized only if every line
    begins with a pipe."""
    rows = [Row(line, _split_cells(line)) for line in lines]
    if len(rows) > 1 and _is_delimiter_row(lines[1]):
        return (
            Table(len(rows[1].cells), rows[0], tuple(rows[2:])) if _same_width(rows[:2]) else None
        )
    if rows and _same_width(rows) and all(line.lstrip().startswith("|") for line in lines):
        return Table(len(rows[0].cells), None, tuple(rows))
    return None


def _is_delimiter_row(line: str) -> bool:
    """Whether the line is the delimiter between header and rows."""
    return "|" in line and all(map(DELIMITER_CELL.fullmatch, _split_cells(line)))


def _may_be_row(line: str) -> bool:
    return "|" in line


def _parse_html(block: str) -> Table | None:
    """The table of a block that `app.tasks.parsers.html` sanitized: all rows and cells are
    closed."""
    if not block.startswith("<table") or block.count("<table") > 1:
        return None
    if "<caption" in block or "<tfoot" in block:
        return None
    rows = [
        Row(text, tuple(map(strip_tags, re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", text, re.DOTALL))))
        for text in re.findall(r"<tr>.*?</tr>", block, re.DOTALL)
    ]
    if not rows or "rowspan" in block:
        return None
    header = rows[0] if "<th" in rows[0].text and "<td" not in rows[0].text else None
    columns = max(map(_column_count, rows))
    if header and len(header.cells) != columns:
        return None
    return Table(columns, header, tuple(rows[1:] if header else rows))


def _append_html_rows(block: str, rows: Sequence[Row]) -> str:
    """A sanitized table with `rows` appended. Header cells in them become data cells."""
    added = "\n".join(re.sub(r"<(/?)th\b", r"<\1td", row.text) for row in rows)
    body = block.removesuffix("</table>").rstrip()
    if body.endswith("</tbody>"):
        body = body.removesuffix("</tbody>").rstrip()
    else:
        body += "<tbody>"
    return f"{body}\n{added}\n</tbody></table>"


def _split_cells(line: str) -> Cells:
    bare = line.strip().removeprefix("|")
    if bare.endswith("|") and not bare.endswith("\\|"):
        bare = bare[:-1]
    return tuple(UNESCAPED_PIPE.split(bare))


def _same_width(rows: Sequence[Row]) -> bool:
    return len({len(row.cells) for row in rows}) == 1


def _column_count(row: Row) -> int:
    spans = [int(span) for span in re.findall(r'colspan="(\d{1,3})"', row.text)]
    return len(row.cells) - len(spans) + sum(spans)
