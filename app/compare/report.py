"""What came of a comparison, filled while it runs; times in seconds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

from app.compare.mistakes import Mistakes
from app.compare.questions import Question


@dataclass(frozen=True, slots=True)
class Run:
    """One answer, once the model was loaded.

    first_s, total_s: from sending to the first text and to the end, as a client sees it. Without
    any text there is no first.
    tokens_per_second: the engine's own, of writing alone; 0 where it does not say.
    """

    first_s: float | None
    total_s: float
    tokens_per_second: float
    prompt_tokens: int
    tokens: int
    text: str
    cut: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Cell:
    """A model's answers to a question; `problem` is why there are no (more) runs."""

    question: Question
    runs: list[Run] = field(default_factory=list)
    problem: str = ""

    @property
    def text(self) -> str:
        """What is shown: the first answer."""
        return self.runs[0].text if self.runs else ""

    @property
    def varied(self) -> bool:
        return len({run.text for run in self.runs}) > 1

    @property
    def mistakes(self) -> Mistakes | None:
        """Of what is shown, where the truth is known."""
        truth = self.question.truth
        return Mistakes.of(self.text, truth) if self.runs and truth else None

    @property
    def first_s(self) -> float | None:
        return middle(run.first_s for run in self.runs)

    @property
    def total_s(self) -> float | None:
        return middle(run.total_s for run in self.runs)

    @property
    def tokens_per_second(self) -> float | None:
        return middle(run.tokens_per_second or None for run in self.runs)


@dataclass(slots=True)
class Subject:
    """A model, and what it did.

    load_s: what its first request took, which is in no other number; `loaded_s` is the engine's
    own part of that, and next to nothing where the model was there already.
    vram_ratio: the share of it in the GPU's memory, 0 to 1; None where the engine does not say.
    problem: why it was not asked.
    """

    name: str
    load_s: float | None = None
    loaded_s: float | None = None
    vram_ratio: float | None = None
    num_ctx: int | None = None
    digest: str = ""
    note: str = ""
    problem: str = ""
    cells: list[Cell] = field(default_factory=list)

    @property
    def answered(self) -> int:
        return sum(bool(cell.runs) for cell in self.cells)

    @property
    def first_s(self) -> float | None:
        """Medians are over the medians of the questions, so that each counts the same."""
        return middle(cell.first_s for cell in self.cells)

    @property
    def total_s(self) -> float | None:
        return middle(cell.total_s for cell in self.cells)

    @property
    def tokens_per_second(self) -> float | None:
        return middle(cell.tokens_per_second for cell in self.cells)

    @property
    def mistakes(self) -> Mistakes | None:
        """The mean over what was read."""
        found = [cell.mistakes for cell in self.cells if cell.mistakes]
        if not found:
            return None

        def mean(values: Iterable[float]) -> float:
            return sum(values) / len(found)

        return Mistakes(
            mean(one.cer for one in found),
            mean(one.cer_spaced for one in found),
            mean(one.wer for one in found),
        )

    def times_as_fast(self, other: "Subject") -> float | None:
        """How many times as fast as the other, by whole answers: the median over the questions
        that both have answered."""
        pairs = zip(self.cells, other.cells, strict=False)
        return middle(
            theirs.total_s / mine.total_s if theirs.total_s and mine.total_s else None
            for mine, theirs in pairs
        )


@dataclass(slots=True)
class Report:
    """All of it. `repeat` runs were asked for each question; `whole` is whether all was done."""

    begun: datetime
    engine: str
    repeat: int
    questions: Sequence[Question]
    subjects: list[Subject] = field(default_factory=list)
    whole: bool = False

    def plain(self) -> dict[str, Any]:
        """As JSON, every single run with it."""
        return {
            "begun": self.begun.isoformat(timespec="seconds"),
            "engine": self.engine,
            "repeat": self.repeat,
            "whole": self.whole,
            "models": [_subject(one) for one in self.subjects],
        }


def middle(values: Iterable[float | None]) -> float | None:
    """The median of those that are there."""
    found = [value for value in values if value is not None]
    return median(found) if found else None


def _subject(one: Subject) -> dict[str, Any]:
    return {
        "model": one.name,
        "digest": one.digest,
        "num_ctx": one.num_ctx,
        "vram_ratio": one.vram_ratio,
        "first_request_s": _rounded(one.load_s),
        "load_s": _rounded(one.loaded_s),
        "problem": one.problem or None,
        "note": one.note or None,
        "median": _medians(one),
        "questions": [_cell(cell) for cell in one.cells],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    question = cell.question
    return {
        "file": question.name,
        "task": question.task,
        "question": question.asked or None,
        "problem": cell.problem or None,
        "median": _medians(cell),
        "runs": [
            {
                "first_s": _rounded(run.first_s),
                "total_s": _rounded(run.total_s),
                "tokens_per_second": run.tokens_per_second,
                "prompt_tokens": run.prompt_tokens,
                "tokens": run.tokens,
                "cut": run.cut,
                "text": run.text,
                "warnings": run.warnings,
            }
            for run in cell.runs
        ],
    }


def _medians(of: Cell | Subject) -> dict[str, float | None]:
    wrong = of.mistakes
    named: dict[str, float | None] = {
        "first_s": of.first_s,
        "total_s": of.total_s,
        "tokens_per_second": of.tokens_per_second,
        "cer": wrong.cer if wrong else None,
        "cer_spaced": wrong.cer_spaced if wrong else None,
        "wer": wrong.wer if wrong else None,
    }
    return {name: _rounded(value) for name, value in named.items()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
