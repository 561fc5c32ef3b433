"""Which pages of a document are meant."""

import re

from app.errors import ImageTooLarge, InvalidParameter, PageOutOfRange

_PART = re.compile(r"(\d{1,6})(?:\s*(-)\s*(\d{1,6})?)?")


def selected(pages: str | None, count: int, most: int, name: str) -> list[int]:
    """Page numbers, from 1, in the order asked for; each once.

    Args:
        pages: such as `1-3,7` or `5-`; None for all.
        count: pages of the document.
        most: how many are taken at once.
        name: of the file, for the messages.

    Raises:
        InvalidParameter: `pages` cannot be read.
        PageOutOfRange: it names a page that is not there.
        ImageTooLarge: more pages than are taken at once.
    """
    if pages is None or not pages.strip():
        _check_number(count, most, name)
        return list(range(1, count + 1))
    numbers: dict[int, None] = {}
    for part in pages.split(","):
        match = _PART.fullmatch(part.strip())
        if not match:
            raise InvalidParameter(
                f"pages: {part.strip()!r} is no page and no range; write for example 1-3,7.",
                parameter="pages",
            )
        first = int(match[1])
        last = int(match[3] or (count if match[2] else first))
        if not 1 <= first <= count or last > count or (match[3] and last < first):
            raise PageOutOfRange(
                f"{name} has {count} page(s); pages {part.strip()} are not there.",
                parameter="pages",
                page_count=count,
            )
        _check_number(last - first + 1, most, name)
        numbers |= dict.fromkeys(range(first, last + 1))
    _check_number(len(numbers), most, name)
    return list(numbers)


def _check_number(number: int, most: int, name: str) -> None:
    if number > most:
        raise ImageTooLarge(
            f"{name}: {number} pages are too many; at most {most} are taken at once. "
            f"Choose with `pages`, for example pages=1-{most}."
        )
