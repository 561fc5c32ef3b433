"""A few inputs of each kind, the same in every run, and what was found before."""

import base64
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.__main__ import fuzz
from tests.fuzz.found import FOUND
from tests.fuzz.oracle import Found, run
from tests.fuzz.targets import TARGETS

MOST_S = 1.0  # on a machine that others use, too, the same takes more CPU


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_costs_much_or_fails(name: str) -> None:
    @settings(max_examples=30, derandomize=True, deadline=None, database=None)
    @given(st.binary(max_size=200))
    def runs(data: bytes) -> None:
        run(TARGETS[name], data, MOST_S)

    runs()


@pytest.mark.parametrize(("name", "data"), FOUND)
def test_what_was_found(name: str, data: str) -> None:
    run(TARGETS[name], base64.b64decode(data), MOST_S)


def test_the_fuzzer_finds() -> None:
    """What fails with something else than a Problem, and what takes too long."""

    def fails() -> None:
        raise KeyError("x")

    with pytest.raises(Found, match="KeyError"):
        run(lambda _: fails, b"")
    with pytest.raises(Found, match=r"\d s"):
        run(lambda _: lambda: sum(range(2_000_000)), b"", 0.001)
    found, runs = fuzz("pages", 2, random.Random(1))
    assert runs > 10 and not found
