"""Pages are joined: repeated edges are removed, split tables are joined, the rest is kept."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.schemas import TextFormat
from app.tasks.documents.joining import MAX_EDGE_LINES, JoinedDocument, PageText, join_pages

TEXT, MARKDOWN, HTML = TextFormat.TEXT, TextFormat.MARKDOWN, TextFormat.HTML


def join(*texts: str, form: TextFormat = TEXT) -> JoinedDocument:
    return join_pages([PageText(number, text) for number, text in enumerate(texts, 1)], form)


def test_headers_footers_and_page_numbers() -> None:
    pages = [
        f"행복마트 연간 보고서\n\n{body}\n둘째 줄 {body}\n\n대외비\n- {n} / 4 -"
        for n, body in enumerate("가나다라", 1)
    ]
    done = join(*pages)
    assert done.text.split("\n\n") == [
        "행복마트 연간 보고서",
        *[f"{body}\n둘째 줄 {body}" for body in "가나다라"],
        "대외비",
    ]
    assert done.notes == (
        'Repeated headers and footers were left out: "행복마트 연간 보고서", "대외비", page '
        'numbers ("- 1 / 4 -").',
    )


@pytest.mark.parametrize(
    "number",
    [
        "{n}", "- {n} -", "Page {n}", "page {n} of 9", "{n}/9", "{n} 쪽", "{n}페이지", "제 {n} 쪽",
        "第{n}页", "{n}ページ", "p. {n}", "**{n}**", "ACME Annual Report {n}", "{n} · Terms of use",
        "ACME · Page {n}", "Seite {n} von 9", "Page {more}", "{more}",
    ],
)  # fmt: skip
def test_page_numbers_in_many_forms(number: str) -> None:
    """Also numbers that do not start at 1."""
    texts = [f"body {word}\n{number}" for word in ("one", "two", "three")]
    pages = [text.format(n=n, more=n + 44) for n, text in enumerate(texts, 1)]
    assert join(*pages).text == "body one\n\nbody two\n\nbody three"


@pytest.mark.parametrize(
    "line",
    ["Question {n}", "Chapter {n}", "제{n}장", "Invoice no. {more}", "2026-11-{day}", "{more}.50"],
)
def test_what_else_counts_with_the_pages_stays(line: str) -> None:
    pages = [f"{line}\nbody {n}".format(n=n, more=n + 1000, day=n + 10) for n in range(1, 5)]
    done = join(*pages)
    assert done.text == "\n\n".join(pages)
    assert done.notes == ()


def test_what_repeats_in_the_body_stays() -> None:
    pages = [f"intro {n}\nTotal due\nTotal due\nend {n}{n}" for n in "abc"]
    assert join(*pages).text == "\n\n".join(pages)


def test_pages_that_are_alike_stay_whole() -> None:
    form = "\n".join(f"line {letter}" for letter in "abcdefgh")
    assert join(form, form, form).text == "\n\n".join([form] * 3)
    assert join("Same", "Same", "Same").text == "Same\n\nSame\n\nSame"


def test_a_line_of_few_pages_is_no_header() -> None:
    pages = ["Part I\none", "Part I\ntwo", "Part II\nthree", "Part II\nfour", "end"]
    assert join(*pages).text == "\n\n".join(pages)


def test_pages_without_text_do_not_count() -> None:
    assert join("ACME\none", "", "ACME\ntwo", " \n").text == "ACME\none\n\ntwo"
    assert join("", "alone\n1").text == "alone\n1"


def test_a_heading_stays_where_it_first_stands() -> None:
    done = join("cover", "# ACME\n\none", "# ACME\n\ntwo", "# ACME\n\nthree", form=MARKDOWN)
    assert done.text == "cover\n\n# ACME\n\none\n\ntwo\n\nthree"


HEAD = "| Item | Price |\n| --- | ---: |\n"


@pytest.mark.parametrize(
    "second",
    [
        HEAD + "| pear | 2 |",
        "| **Item** | Price |\n|-|-|\n| pear | 2 |",
        "|  |  |\n|---|---|\n| pear | 2 |",
        "| pear | 2 |\n|---|---|",
        "| pear | 2 |",
    ],
)
def test_tables_run_on(second: str) -> None:
    first = f"# List\n\n{HEAD}| apple | 1 |\n\nACME\n1"
    done = join(first, f"{second}\n\nThanks.\n\nACME\n2", form=MARKDOWN)
    assert done.text == f"# List\n\n{HEAD}| apple | 1 |\n| pear | 2 |\n\nThanks.\n\nACME"
    assert done.notes[-1] == "Tables split by a page break were joined at the top of page(s) 2."


@pytest.mark.parametrize(
    "second",
    [
        "| Item | Price | VAT |\n|---|---|---|\n| pear | 2 | 0 |",
        "| Name | City |\n|---|---|\n| Kim | Seoul |",
        "Others\n\n| Item | Price |\n|---|---|\n| pear | 2 |",
        "text with a | pipe",
    ],
)
def test_another_table_stays_apart(second: str) -> None:
    first = f"{HEAD}| apple | 1 |\n| plum | 3 |"
    assert join(first, second, form=MARKDOWN).text == f"{first}\n\n{second}"


def test_a_long_table_over_many_pages() -> None:
    pages = [HEAD + f"| thing {n} | {n}.50 |\n| other {n} | {n} |" for n in range(1, 31)]
    done = join(*pages, form=MARKDOWN)
    rows = done.text.split("\n")
    assert len(rows) == 2 + 60
    assert all(row.count("|") == 3 for row in rows)


def test_tables_in_html() -> None:
    head = "<tr><th>Item</th><th>Price</th></tr>"
    first = f"<h1>List</h1>\n<table><thead>{head}</thead><tbody><tr><td>a</td><td>1</td></tr>"
    pages = (
        f"{first}</tbody></table>\n<p>ACME</p>\n<p>1</p>",
        f"<table><tbody>{head}<tr><td>b</td><td>2</td></tr></tbody></table>\n<p>ACME</p>\n<p>2</p>",
        "<table><tbody><tr><th>c</th><th>3</th></tr></tbody></table>\n<p>end</p>\n<p>ACME</p>",
    )
    done = join(*pages, form=HTML)
    assert done.text == (
        f"{first}\n<tr><td>b</td><td>2</td></tr>\n<tr><td>c</td><td>3</td></tr>\n</tbody></table>\n"
        "<p>end</p>\n<p>ACME</p>"
    )


def test_code_and_formulas_are_no_headers() -> None:
    pages = [f"```python\nprint({n})\n```\ntext {n}{n}\n$$\nx\n$$" for n in "abc"]
    assert join(*pages, form=MARKDOWN).text == "\n\n".join(pages)


LINES = st.lists(
    st.one_of(
        st.sampled_from(["ACME", "Page 1", "Page 2", "2", "3", "---", "# Title", "```", "$$ x $$"]),
        st.sampled_from(["| a | b |", "|---|---|", "| 1 | 2 |", ""]),
        st.text("abc 1|#\n", max_size=8),
    ),
    max_size=14,
)
DOCUMENTS = st.lists(LINES.map("\n".join), min_size=1, max_size=6)


@settings(max_examples=400, deadline=None)
@given(DOCUMENTS, st.sampled_from([TEXT, MARKDOWN]))
def test_no_body_is_lost(texts: list[str], form: TextFormat) -> None:
    """All lines between the edges are kept in order, except headers of continued tables."""
    done = join(*texts, form=form)
    left = iter(done.text.split("\n"))
    for text in texts:
        filled = [line for line in text.split("\n") if line.strip()]
        for line in filled[MAX_EDGE_LINES:-MAX_EDGE_LINES]:
            if form is MARKDOWN and "|" in line:
                continue
            assert line in left, (line, done.text)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_pages_with_nothing_in_common_are_kept_to_the_letter(lengths: list[int]) -> None:
    pages = [
        "\n".join(f"word{page}{chr(97 + line)} here" for line in range(length))
        for page, length in enumerate(lengths)
    ]
    done = join(*pages)
    assert done.text == "\n\n".join(filter(None, pages))
    assert done.notes == ()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=5), min_size=2, max_size=6),
    st.booleans(),
)
def test_every_row_of_a_table_that_runs_on_is_there_once(
    pages: list[list[str]], heads: bool
) -> None:
    texts = [
        (HEAD if heads or not at else "") + "\n".join(f"| {cell} | {at} |" for cell in cells)
        for at, cells in enumerate(pages)
    ]
    rows = join(*texts, form=MARKDOWN).text.split("\n")
    assert rows[2:] == [f"| {cell} | {at} |" for at, cells in enumerate(pages) for cell in cells]
    assert all(re.match(r"\| (Item|---|[a-h]) \|", row) for row in rows)
