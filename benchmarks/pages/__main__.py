"""`python -m benchmarks.pages`: whether a PDF page's text layer is used where it is right to.

Pages are generated, with layers that lie in all ways that reports tell of, and sound ones. A
decision is right where the layer is used, left or completed as it should be, and its text is
right to 2 % of its characters. No engine is asked.
"""

import argparse
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from app.compare.error_rates import ErrorRates
from app.images.picture import Limits, Picture
from app.images.probe import probe
from benchmarks.ocr_pages import FontMissing
from benchmarks.pages.corpus import FONTS, Case, cases, fetch_fonts

LEAST_RIGHT = 0.98  # of all decisions; of sound layers none may be lost
MOST_WRONG = 0.02  # of a layer's characters
LIMITS = Limits(max_megapixels=50)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done with a page; `fault` is empty where that is right."""

    case: Case
    fault: str
    seconds: float


def judged(case: Case) -> Outcome:
    """Look at a page as the server does."""
    started = time.process_time()
    (picture,) = probe(case.data, 0, LIMITS)
    return Outcome(case, _fault(case, picture), time.process_time() - started)


def _fault(case: Case, picture: Picture) -> str:
    done = "layer" if picture.region is None else "part"
    done = "read" if picture.text is None else done
    if done != case.right:
        return f"{done} instead of {case.right}: {(picture.text or '')[:60]!r} {picture.warnings}"
    if done == "read":
        return ""
    text = "\n".join(filter(None, (picture.text, picture.below)))
    wrong = ErrorRates.measure(text, case.text).cer
    if wrong > MOST_WRONG:
        return f"CER {wrong:.2f}: {text[:100]!r}"
    told = any(f"{case.hidden} characters" in warning for warning in picture.warnings)
    return "" if told or not case.hidden else f"{case.hidden} hidden characters, {picture.warnings}"


def main() -> None:
    """Print the decisions; exit with 1 where one is wrong."""
    parser = argparse.ArgumentParser(description="Decisions about text layers of PDF pages.")
    parser.add_argument("--fonts", type=Path, action="append", default=[], help="a folder of fonts")
    parser.add_argument("--fetch", action="store_true", help="get the fonts from Debian first")
    parser.add_argument("--save", type=Path, help="write the pages into this folder")
    asked = parser.parse_args()
    try:
        if asked.fetch:
            fetch_fonts()
        made = cases([*asked.fonts, FONTS])
    except FontMissing as error:
        sys.exit(str(error))
    if asked.save:
        asked.save.mkdir(parents=True, exist_ok=True)
        for number, case in enumerate(made):
            name = f"{number:03}-{case.name.replace(' ', '-').replace('/', '')}.pdf"
            (asked.save / name).write_bytes(case.data)
    judged(made[-1])  # what is loaded once
    sys.exit(_table([judged(case) for case in made]))


def _table(outcomes: list[Outcome]) -> int:
    """Print it; 1 where too few decisions are right."""
    by_kind = defaultdict(list)
    for one in outcomes:
        by_kind[one.case.kind].append(one)
    print("| kind | pages | right | share | ms a page |\n|---|---|---|---|---|")
    for kind, ones in by_kind.items():
        right = sum(not one.fault for one in ones)
        spent = sum(one.seconds for one in ones) / len(ones) * 1e3
        print(f"| {kind} | {len(ones)} | {right} | {right / len(ones):.3f} | {spent:.1f} |")
    right = sum(not one.fault for one in outcomes)
    share = right / len(outcomes)
    print(f"| all | {len(outcomes)} | {right} | {share:.3f} | |")
    for one in outcomes:
        if one.fault:
            print(f"\n{one.case.kind}: {one.case.name}: {one.fault}")
    lost = [one for one in by_kind["sound layers"] if one.fault]
    return int(share < LEAST_RIGHT or bool(lost))


if __name__ == "__main__":
    main()
