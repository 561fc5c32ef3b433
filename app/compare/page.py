"""The report as one self-contained HTML file, without scripts or network access.

Answers are untrusted: everything is escaped (Jinja2's autoescape), and the Content-Security-Policy
of the page allows only its own style and images. Labels are in English and Korean; CSS shows one of
the two.
"""

import base64
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from app.compare.questions import Question
from app.compare.report import ModelResult, QuestionResult, Report
from app.errors import Problem
from app.images.decode import prepare
from app.images.picture import Limits
from app.images.probe import probe

THUMBNAIL_PX = 640  # the longer side of an image
WORD = re.compile(
    r"\s*\S+(?:\s+$)?"
)  # with the space before it; the last word also with the space after it
PNG, JPEG = b"\x89PNG", "image/jpeg"


@dataclass(frozen=True, slots=True)
class DiffPart:
    """A part of the diff: `same`, `more` (not in the ground truth) or `missing`."""

    kind: str
    text: str


def page(report: Report, korean: bool = False) -> str:
    """Render the report.

    Args:
        korean: show Korean first instead of English.
    """
    style = Path(__file__).with_name("page.css").read_text()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        _environment()
        .get_template("page.html")
        .render(
            report=report,
            rows=list(_rows(report)),
            first=next((one for one in report.models if one.cells), None),
            most=_maxima(report.models),
            style=Markup(style),  # noqa: S704 - a file of this package
            style_hash=digest,
            korean=korean,
        )
    )


def diff_words(read: str, written: str) -> list[DiffPart]:
    """Word diff of a reading against the ground truth. All parts but `missing` add up to `read`."""
    mine, truth = WORD.findall(read), WORD.findall(written)
    found: list[DiffPart] = []
    matcher = SequenceMatcher(
        None, list(map(_normalized, mine)), list(map(_normalized, truth)), False
    )
    for kind, i, j, k, m in matcher.get_opcodes():
        if kind in ("delete", "replace"):
            found.append(DiffPart("more", "".join(mine[i:j])))
        if kind in ("insert", "replace"):
            found.append(DiffPart("missing", "".join(truth[k:m])))
        if kind == "equal":
            found.append(DiffPart("same", "".join(mine[i:j])))
    return found


def _normalized(word: str) -> str:
    return unicodedata.normalize("NFKC", word).strip()


def _rows(
    report: Report,
) -> Iterator[tuple[Question, str, list[tuple[ModelResult, QuestionResult]]]]:
    """Each question with its thumbnail and the results of the models."""
    for at, question in enumerate(report.questions):
        cells = [(one, one.cells[at]) for one in report.models if one.cells]
        yield question, _thumbnail(question.file), cells


@cache
def _thumbnail(file: Path) -> str:
    """A small copy of the image or first page as a data URI; empty if it cannot be decoded."""
    try:
        picture = probe(file.read_bytes(), 0, Limits(max_megapixels=200, max_pages=10_000))[0]
        width, height = picture.natural_size
        scale = min(1.0, THUMBNAIL_PX / max(width, height))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        shown = prepare(picture, size).base64
    except (Problem, OSError):
        return ""
    kind = "image/png" if base64.b64decode(shown[:8]).startswith(PNG) else JPEG
    return f"data:{kind};base64,{shown.decode()}"


def _maxima(models: Iterable[ModelResult]) -> dict[str, float]:
    """The maximum of each value, for the bars."""
    results = list(models)
    names = ("first_s", "total_s", "tokens_per_second")
    return {name: max((getattr(one, name) or 0 for one in results), default=0) for name in names}


def seconds(value: float | None) -> str:
    """`0.042 s`, `1.23 s`, `98.7 s`: three significant digits at most."""
    if value is None:
        return "–"
    digits = 3 if value < 0.1 else 2 if value < 10 else 1
    return f"{value:.{digits}f} s"


def percent(value: float | None) -> str:
    """A share as a percentage."""
    return "–" if value is None else f"{100 * value:.1f} %"


def rate(value: float | None) -> str:
    """Tokens per second."""
    return "–" if value is None else f"{value:.1f}"


def value_range(values: Iterable[float | None]) -> str:
    """The minimum and the maximum; empty for fewer than two values."""
    found = sorted(value for value in values if value is not None)
    if len(found) < 2:
        return ""
    return f"{seconds(found[0]).removesuffix(' s')}–{seconds(found[-1])}"


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("app.compare", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "seconds": seconds,
        "percent": percent,
        "rate": rate,
        "value_range": value_range,
    }
    made.globals["diff_words"] = diff_words
    return made
