"""The HTML report: answers are text, and nothing runs."""

from pathlib import Path

import pytest

from app.compare.page import diff_words, page, seconds
from app.compare.report import ModelResult
from tests.compare.made import report


def test_pieces_are_the_answer_and_what_it_lacks() -> None:
    read, written = "one  twO three\nfive\n", "one two three\nfour five"
    found = diff_words(read, written)
    assert "".join(one.text for one in found if one.kind != "missing") == read
    assert [(one.kind, one.text.strip()) for one in found if one.kind != "same"][:2] == [
        ("more", "twO"),
        ("missing", "two"),
    ]
    assert "four" in [one.text.strip() for one in found if one.kind == "missing"]


def test_an_answer_is_text_and_nothing_else(tmp_path: Path) -> None:
    bad = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}"
    made = report(tmp_path / "<b>.png", bad, "합계 100원")
    made.models[1].problem = ""
    made.models.append(ModelResult("<i>gone</i>", problem="<script>no</script>"))
    html = page(made)
    assert "<script" not in html and "<img" not in html and "<i>gone" not in html
    assert "&lt;script&gt;alert(1)" in html.replace("</ins>", "").replace("<ins>", "")
    assert "{{ 7 * 7 }}" in html
    assert "default-src 'none'" in html


@pytest.mark.parametrize(
    ("value", "said"), [(None, "–"), (0.0421, "0.042 s"), (1.234, "1.23 s"), (98.76, "98.8 s")]
)
def test_seconds(value: float | None, said: str) -> None:
    assert seconds(value) == said
