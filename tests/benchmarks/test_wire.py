"""The page on speed says what was measured."""

import json
import re

import pytest

from benchmarks.wire import page
from tests.inference_server import REPO

TEXT = (REPO / "docs" / "SPEED.md").read_text()
TOLD = json.loads((REPO / "docs" / "wire.json").read_text())


def test_the_tables_are_what_was_measured() -> None:
    assert page.filled(TEXT, TOLD) == TEXT, "run: python -m benchmarks.wire.page"
    assert [found[2] for found in page.PLACE.finditer(TEXT)] == list(page.TABLES)
    bare = page.PLACE.sub("", TEXT)
    assert "|" not in bare, "a table that was written by hand"


def test_a_number_that_was_edited_is_found() -> None:
    edited, count = re.subn(r"(?<=\| )[\d.,]+(?= \|)", "7.77", TEXT)
    assert count > 3 * len(page.TABLES)
    assert page.filled(edited, TOLD) == TEXT


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([], ""),
        ([3, 1, 2.0], "2"),
        ([1.23456], "1.23"),
        ([99.9], "99.9"),
        ([147787.6], "147,788"),
        ([None, None, 1.0], "never"),
    ],
)
def test_a_cell(values: list[float | None], shown: str) -> None:
    assert page.median(values) == shown
