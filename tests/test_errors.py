"""The tree of problems is the one that is drawn at the top of its file."""

import re

import pytest

from app import errors
from app.errors import (
    Draining,
    EngineInterrupted,
    EngineUnavailable,
    ModelLoadingFailed,
    Problem,
    StreamTruncated,
    TokenRepeatLimit,
    TransientEngineProblem,
)

DRAWN = re.compile(r"^ {4}((?:[│ ] {3})*(?:[├└]── )?)(\w+)(?: +(\d{3}) (\w+))?$", re.MULTILINE)
Row = tuple[int, str, str, str]  # depth, name, status, code


def drawn() -> list[Row]:
    rows = DRAWN.findall(errors.__doc__ or "")
    return [(len(branches) // 4, name, status, code) for branches, name, status, code in rows]


def defined(problem: type[Problem] = Problem, depth: int = 0) -> list[Row]:
    """The classes in the order of their definition; those that only have subclasses have no
    status."""
    is_group = problem.status == Problem.status and problem.__name__ != "InternalError"
    told = ("", "") if is_group else (str(problem.status), problem.code)
    rows = [(depth, problem.__name__, *told)]
    for one in problem.__subclasses__():
        rows += defined(one, depth + 1)
    return rows


def test_the_drawing_is_the_inheritance() -> None:
    assert drawn() == defined()


@pytest.mark.parametrize(
    ("problem", "transient"),
    [
        (EngineUnavailable, True),
        (EngineInterrupted, True),
        (StreamTruncated, True),
        (TokenRepeatLimit, False),
        (ModelLoadingFailed, False),
        (Draining, False),
    ],
)
def test_which_problems_are_worth_another_attempt(problem: type[Problem], transient: bool) -> None:
    assert issubclass(problem, TransientEngineProblem) is transient


@pytest.mark.parametrize("problem", [EngineUnavailable, ModelLoadingFailed, Draining])
def test_retry_after_has_a_default(problem: type[Problem]) -> None:
    assert problem("detail").headers()["Retry-After"] == "5"
    assert problem("detail", retry_after_s=9).headers()["Retry-After"] == "9"
