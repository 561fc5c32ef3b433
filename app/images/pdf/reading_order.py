"""Derives the reading order of characters from their positions, not from their drawing order.

It is used for pages whose drawing order is not the reading order: rotated text, form fields that
were filled later, columns that were drawn line by line across the page.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from app.images.pdf.visible_text import Box, Char

RIGHT_TO_LEFT = re.compile(r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")
SAME_LINE_OVERLAP = 0.5  # overlap of two runs on one line, as a share of the lower height
RUN_GAP = 1.2  # line heights; a wider gap separates two runs
SPACE_GAP = 0.18  # line heights; a wider gap between runs is a space
PROSE_WIDTH = 9.0  # line heights; a wider run is a line of prose
MAX_SHORT_SHARE = 0.25  # largest share of a column's lines that are not prose
MIN_COLUMN_LINES = 4  # lines of prose that each of two columns has at least


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive characters on a line."""

    text: str
    box: Box

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]

    @property
    def width(self) -> float:
        return self.box[2] - self.box[0]

    @property
    def middle(self) -> float:
        return (self.box[1] + self.box[3]) / 2


def direction(chars: Sequence[Char]) -> int:
    """Return the rotation of most lines as shown, in quarter turns clockwise.

    0 is upright, 1 runs downwards, 2 is upside down, 3 runs upwards.
    """
    votes: Counter[int] = Counter()
    for before, char in pairwise(chars):
        if before.generated or char.generated or before.owner != char.owner:
            continue
        if RIGHT_TO_LEFT.match(before.text + char.text):
            continue
        dx = char.box[0] + char.box[2] - before.box[0] - before.box[2]
        dy = char.box[1] + char.box[3] - before.box[1] - before.box[3]
        if dx or dy:
            votes[_quarter(dx, dy)] += 1
    return votes.most_common(1)[0][0] if votes else 0


def _quarter(dx: float, dy: float) -> int:
    if abs(dx) >= abs(dy):
        return 0 if dx > 0 else 2
    return 1 if dy > 0 else 3


def rotate_upright(chars: Sequence[Char], quarters: int) -> list[Char]:
    """Rotate the boxes of characters so that lines turned by `quarters` become upright."""

    def back(box: Box) -> Box:
        left, top, right, bottom = box
        match quarters:
            case 1:
                return top, -right, bottom, -left
            case 2:
                return -right, -bottom, -left, -top
            case 3:
                return -bottom, left, -top, right
        return box

    return [char._replace(box=back(char.box)) for char in chars]


def arrange(chars: Sequence[Char]) -> str:
    """Return the text in lines from top to bottom, columns of prose one after the other."""
    runs = _runs(rotate_upright(chars, direction(chars)))
    return "\n".join(line for block in _blocks(runs) for line in _lines(block))


def reads_across_columns(chars: Sequence[Char]) -> bool:
    """Return whether two columns of prose were drawn line by line across both."""
    runs = _runs(chars)
    gutter = _gutter(runs)
    if gutter is None:
        return False
    sides = [run.box[0] >= gutter for run in runs if not run.box[0] < gutter < run.box[2]]
    changes = sum(a != b for a, b in pairwise(sides))
    return changes > len(sides) / 2


def _runs(chars: Sequence[Char]) -> list[Run]:
    runs: list[Run] = []
    text, box = "", None
    last: Char | None = None
    for char in chars:
        if char.generated and not char.text.strip():
            if "\n" in char.text or "\r" in char.text:
                _close(runs, text, box)
                text, box, last = "", None, None
            elif text:
                text += " "
            continue
        if box is not None and last is not None and _apart(last, char, box):
            _close(runs, text, box)
            text, box = "", None
        text += "-" if char.text == "\ufffe" else char.text
        if char.text.strip() and char.box[2] > char.box[0]:
            box = union(box, char.box)
            last = char
    _close(runs, text, box)
    return runs


def _close(runs: list[Run], text: str, box: Box | None) -> None:
    if box is not None and text.strip():
        runs.append(Run(text.strip(), box))


def _apart(last: Char, char: Char, box: Box) -> bool:
    """Return whether a character does not continue the current run."""
    height = max(box[3] - box[1], 1.0)
    if not char.text.strip() or char.box[2] <= char.box[0]:
        return False
    over = min(box[3], char.box[3]) - max(box[1], char.box[1])
    if over < -0.3 * height:
        return True
    gap = max(char.box[0] - last.box[2], last.box[0] - char.box[2])
    return gap > RUN_GAP * height


def union(box: Box | None, other: Box) -> Box:
    """Return the bounding box of two boxes."""
    if box is None:
        return other
    return (
        min(box[0], other[0]),
        min(box[1], other[1]),
        max(box[2], other[2]),
        max(box[3], other[3]),
    )


def _lines(runs: Sequence[Run]) -> list[str]:
    lines: list[list[Run]] = []
    for run in sorted(runs, key=lambda run: run.middle):
        if lines and _beside(lines[-1], run):
            lines[-1].append(run)
        else:
            lines.append([run])
    return [_line(line) for line in lines]


def _beside(line: Sequence[Run], run: Run) -> bool:
    other = max(line, key=lambda one: one.width)
    over = min(other.box[3], run.box[3]) - max(other.box[1], run.box[1])
    return over > SAME_LINE_OVERLAP * min(other.height, run.height)


def _line(runs: Sequence[Run]) -> str:
    backwards = sum(bool(RIGHT_TO_LEFT.search(run.text)) for run in runs) > len(runs) / 2
    ordered = sorted(runs, key=lambda run: run.box[0], reverse=backwards)
    text = ordered[0].text
    for before, run in pairwise(ordered):
        gap = max(run.box[0] - before.box[2], before.box[0] - run.box[2])
        text += (" " if gap > SPACE_GAP * run.height else "") + run.text
    return text


def _blocks(runs: Sequence[Run]) -> list[list[Run]]:
    """Split the page into blocks in reading order.

    A page without two columns of prose is one block. Otherwise a line across both columns is a
    block of its own, which follows the parts of the columns above it.
    """
    gutter = _gutter(runs)
    if gutter is None:
        return [list(runs)]
    across = [run for run in runs if run.box[0] < gutter < run.box[2]]
    left = [run for run in runs if run.box[2] <= gutter]
    right = [run for run in runs if run.box[0] >= gutter]
    blocks = []
    for line in sorted(across, key=lambda run: run.middle):
        for side in (left, right):
            blocks.append([run for run in side if run.middle < line.middle])
            side[:] = [run for run in side if run.middle >= line.middle]
        blocks.append([line])
    return [block for block in (*blocks, left, right) if block]


def _gutter(runs: Sequence[Run]) -> float | None:
    """Return the x of the gap between two columns of prose; None for one column or a table."""
    if len(runs) < 2 * MIN_COLUMN_LINES:
        return None
    height = median(run.height for run in runs)
    prose = [run for run in runs if run.width > PROSE_WIDTH * height]
    best: tuple[int, float] | None = None  # number of runs across the gap, its x
    for edge in sorted({round(run.box[2]) for run in prose}):
        x = edge + 1.0
        left = [run for run in runs if run.box[2] <= x]
        right = [run for run in runs if run.box[0] >= x]
        crossing = len(runs) - len(left) - len(right)
        sides = [sum(run.width > PROSE_WIDTH * height for run in side) for side in (left, right)]
        if (
            min(sides) >= MIN_COLUMN_LINES
            and crossing <= len(runs) / 5
            and sides[0] >= (1 - MAX_SHORT_SHARE) * len(left)
            and sides[1] >= (1 - MAX_SHORT_SHARE) * len(right)
            and (best is None or crossing < best[0])
        ):
            best = crossing, x
    return best[1] if best else None
