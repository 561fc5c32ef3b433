"""`python -m benchmarks.ocr`: how many characters the embedded engine gets wrong, as a table.

A page's error rate is the edits from what was read to what is written (insertions, deletions,
substitutions, each one), over the characters that are written; a language's is that of all its
pages together. The first number does not count white space, the second does, a line break being
one; runs of spaces count as one in both.
"""

import argparse
import sys
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from app.compare.error_rates import edit_distance, normalize
from benchmarks.ocr_pages import CONDITIONS, FontMissing, PageOf, pages

LIMITS = {"en": 1.0, "ko": 3.0, "ko+en": 6.0, "ja": 1.0, "zh": 1.0}  # percent, without spaces


@dataclass(frozen=True, slots=True)
class Result:
    """Edits and characters of one page, without and with white space, and the time it took."""

    page: PageOf
    read: str
    edits: int
    length: int
    edits_spaced: int
    length_spaced: int
    seconds: float


def main() -> None:
    """Print the error rates, one line a language and condition."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else ""
    )
    parser.add_argument("--language", action="append", choices=LIMITS, help="only this one")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--lines", action="store_true", help="show every page that is not right")
    parser.add_argument("--save", type=Path, help="write the pages' pictures into this folder")
    asked = parser.parse_args()
    try:
        made = [page for page in pages(asked.seed) if page.language in (asked.language or LIMITS)]
    except FontMissing as error:
        sys.exit(str(error))
    if asked.save:
        _save(made, asked.save)
    results = _results(made)
    if asked.lines:
        _show(results)
    missed = _table(results)
    sys.exit(f"Above the limit: {', '.join(missed)}" if missed else 0)


def _results(made: list[PageOf]) -> list[Result]:
    from app.embedded.ocr import models, reader  # noqa: PLC0415 - only once the fonts are there

    ocr_models = models.load(2)
    results = []
    for page in made:
        started = time.perf_counter()
        found = reader.read_image(page.image, ocr_models, threading.Event())
        read = "\n".join(line.text for line in found if isinstance(line, reader.TextLine))
        seconds = time.perf_counter() - started
        bare, bare_written = (normalize(text, "") for text in (read, page.text))
        spaced, spaced_written = (normalize(text, " ") for text in (read, page.text))
        results.append(
            Result(
                page,
                read,
                edit_distance(bare, bare_written),
                len(bare_written),
                edit_distance(spaced, spaced_written),
                len(spaced_written),
                seconds,
            )
        )
    return results


def _table(results: list[Result]) -> list[str]:
    """Print it; the languages above their limit."""
    by_language, by_condition = defaultdict(list), defaultdict(list)
    for result in results:
        by_language[result.page.language].append(result)
        by_condition[result.page.condition].append(result)
    print("| pages | n | CER % | limit | CER % with spaces | s a page |")
    print("|---|---|---|---|---|---|")
    missed = []
    for language, of in by_language.items():
        rate = _rate(of)
        if rate > LIMITS[language]:
            missed.append(language)
        seconds = sum(result.seconds for result in of) / len(of)
        limit, spaced = LIMITS[language], _rate(of, spaced=True)
        print(
            f"| {language} | {len(of)} | {rate:.2f} | {limit:.0f} | {spaced:.2f} | {seconds:.2f} |"
        )
    print(f"\n| condition | {' | '.join(by_language)} |")
    print(f"|---{'|---' * len(by_language)}|")
    for condition in CONDITIONS:
        cells = [
            f"{_rate([r for r in by_condition[condition] if r.page.language == language]):.1f}"
            for language in by_language
        ]
        print(f"| {condition} | {' | '.join(cells)} |")
    return missed


def _rate(results: list[Result], *, spaced: bool = False) -> float:
    wrong = sum(result.edits_spaced if spaced else result.edits for result in results)
    return (
        100 * wrong / sum(result.length_spaced if spaced else result.length for result in results)
    )


def _show(results: list[Result]) -> None:
    for result in results:
        if result.edits_spaced:
            print(f"--- {result.page.language}, {result.page.condition}")
            written = result.page.text.splitlines()
            print("\n".join(line for line in result.read.splitlines() if line not in written))


def _save(made: list[PageOf], folder: Path) -> None:
    import cv2  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    for page in made:
        name = f"{page.language}-{page.condition.replace(' ', '_')}.png"
        cv2.imwrite(str(folder / name), page.image)
        (folder / name).with_suffix(".txt").write_text(page.text)


if __name__ == "__main__":
    main()
