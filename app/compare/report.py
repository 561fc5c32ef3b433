"""The results of a comparison, filled while it runs. Times are in seconds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

from app.compare.error_rates import ErrorRates
from app.compare.questions import Question


@dataclass(frozen=True, slots=True)
class Run:
    """One answer of a loaded model.

    first_s, total_s: time from sending to the first text and to the end, measured by the client;
    first_s is None if there is no text.
    tokens_per_second: the engine's value for generation; 0 if it reports none.
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
class QuestionResult:
    """The answers of a model to a question; `problem` is why there are no (more) runs."""

    question: Question
    runs: list[Run] = field(default_factory=list)
    problem: str = ""

    @property
    def text(self) -> str:
        """The first answer, which the report shows."""
        return self.runs[0].text if self.runs else ""

    @property
    def answers_differ(self) -> bool:
        return len({run.text for run in self.runs}) > 1

    @property
    def error_rates(self) -> ErrorRates | None:
        """The error rates of the first answer, if the truth is known."""
        truth = self.question.truth
        return ErrorRates.measure(self.text, truth) if self.runs and truth else None

    @property
    def first_s(self) -> float | None:
        return median_of(run.first_s for run in self.runs)

    @property
    def total_s(self) -> float | None:
        return median_of(run.total_s for run in self.runs)

    @property
    def tokens_per_second(self) -> float | None:
        return median_of(run.tokens_per_second or None for run in self.runs)


@dataclass(slots=True)
class ModelResult:
    """A model and its results.

    first_request_s: time of the first request, which is in no other value; `load_s` is the time
    that the engine spent loading in it, close to 0 if the model was loaded already.
    vram_ratio: share of the model in GPU memory, 0 to 1; None if the engine does not report it.
    problem: why the model was not measured.
    """

    name: str
    first_request_s: float | None = None
    load_s: float | None = None
    vram_ratio: float | None = None
    num_ctx: int | None = None
    digest: str = ""
    note: str = ""
    problem: str = ""
    cells: list[QuestionResult] = field(default_factory=list)

    @property
    def answered(self) -> int:
        return sum(bool(cell.runs) for cell in self.cells)

    @property
    def first_s(self) -> float | None:
        """The median over the medians of the questions, so that each counts the same."""
        return median_of(cell.first_s for cell in self.cells)

    @property
    def total_s(self) -> float | None:
        return median_of(cell.total_s for cell in self.cells)

    @property
    def tokens_per_second(self) -> float | None:
        return median_of(cell.tokens_per_second for cell in self.cells)

    @property
    def error_rates(self) -> ErrorRates | None:
        """The mean over the questions with a known truth."""
        found = [cell.error_rates for cell in self.cells if cell.error_rates]
        if not found:
            return None

        def mean(values: Iterable[float]) -> float:
            return sum(values) / len(found)

        return ErrorRates(
            mean(one.cer for one in found),
            mean(one.cer_spaced for one in found),
            mean(one.wer for one in found),
        )

    def speedup_over(self, other: "ModelResult") -> float | None:
        """How many times as fast as the other, by total time: the median over the questions that
        both answered."""
        pairs = zip(self.cells, other.cells, strict=False)
        return median_of(
            theirs.total_s / mine.total_s if theirs.total_s and mine.total_s else None
            for mine, theirs in pairs
        )


@dataclass(slots=True)
class Report:
    """The comparison. `repeat`: runs per question; `complete`: all runs were made."""

    started: datetime
    engine: str
    repeat: int
    questions: Sequence[Question]
    models: list[ModelResult] = field(default_factory=list)
    complete: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON, with every run."""
        return {
            "begun": self.started.isoformat(timespec="seconds"),
            "engine": self.engine,
            "repeat": self.repeat,
            "whole": self.complete,
            "models": [_subject(one) for one in self.models],
        }


def median_of(values: Iterable[float | None]) -> float | None:
    """The median of the values that are not None."""
    found = [value for value in values if value is not None]
    return median(found) if found else None


def _subject(one: ModelResult) -> dict[str, Any]:
    return {
        "model": one.name,
        "digest": one.digest,
        "num_ctx": one.num_ctx,
        "vram_ratio": one.vram_ratio,
        "first_request_s": _rounded(one.first_request_s),
        "load_s": _rounded(one.load_s),
        "problem": one.problem or None,
        "note": one.note or None,
        "median": _medians(one),
        "questions": [_cell(cell) for cell in one.cells],
    }


def _cell(cell: QuestionResult) -> dict[str, Any]:
    question = cell.question
    return {
        "file": question.name,
        "task": question.task,
        "question": question.question_text or None,
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


def _medians(measure: QuestionResult | ModelResult) -> dict[str, float | None]:
    wrong = measure.error_rates
    named: dict[str, float | None] = {
        "first_s": measure.first_s,
        "total_s": measure.total_s,
        "tokens_per_second": measure.tokens_per_second,
        "cer": wrong.cer if wrong else None,
        "cer_spaced": wrong.cer_spaced if wrong else None,
        "wer": wrong.wer if wrong else None,
    }
    return {name: _rounded(value) for name, value in named.items()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
