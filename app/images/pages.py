"""Parses the `pages` parameter, which selects pages of a document."""

import re

from app.errors import ImageTooLarge, InvalidParameter, PageOutOfRange

_RANGE = re.compile(r"(\d{1,6})(?:\s*(-)\s*(\d{1,6})?)?")


def select_pages(pages: str | None, count: int, max_pages: int, name: str) -> list[int]:
    """Return the selected page numbers, counted from 1, in the requested order, each once.

    Args:
        pages: such as `1-3,7` or `5-`; None for all.
        count: number of pages in the document.
        max_pages: limit of selected pages.
        name: of the file, for messages.

    Raises:
        InvalidParameter: `pages` has a wrong syntax.
        PageOutOfRange: `pages` names a page that does not exist.
        ImageTooLarge: more than `max_pages` pages are selected.
    """
    if pages is None or not pages.strip():
        _check_page_count(count, max_pages, name)
        return list(range(1, count + 1))
    numbers: dict[int, None] = {}
    for part in pages.split(","):
        match = _RANGE.fullmatch(part.strip())
        if not match:
            raise InvalidParameter(
                f"pages: {part.strip()!r} is neither a page nor a range; write for example 1-3,7.",
                parameter="pages",
            )
        first = int(match[1])
        last = int(match[3] or (count if match[2] else first))
        if not 1 <= first <= count or last > count or (match[3] and last < first):
            raise PageOutOfRange(
                f"{name} has {count} page(s); pages {part.strip()} do not exist.",
                parameter="pages",
                page_count=count,
            )
        _check_page_count(last - first + 1, max_pages, name)
        numbers |= dict.fromkeys(range(first, last + 1))
    _check_page_count(len(numbers), max_pages, name)
    return list(numbers)


def _check_page_count(number: int, max_pages: int, name: str) -> None:
    if number > max_pages:
        raise ImageTooLarge(
            f"{name}: {number} pages are too many; a request may have at most {max_pages}. "
            f"Select some with `pages`, for example pages=1-{max_pages}."
        )
