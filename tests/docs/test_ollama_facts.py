"""Each row of docs/OLLAMA_FACTS.md names a test that is there."""

import re
from pathlib import Path

REPO = Path(__file__).parents[2]
TEXT = (REPO / "docs" / "OLLAMA_FACTS.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_each_row_names_a_test() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| ")]
    head, *body = rows
    assert [cell.strip() for cell in head.strip("|").split("|")] == [
        *("behaviour", "0.9.3", "0.12.7", "0.30.0", "0.33.0", "later", "test")
    ]
    assert len(body) > 15
    for row in body:
        assert NAMED.search(row), row
        assert row.count("|") == 8, row


def test_the_tests_are_there() -> None:
    for path, name in NAMED.findall(TEXT):
        assert re.search(rf"def {name}\(", (REPO / path).read_text()), (path, name)
