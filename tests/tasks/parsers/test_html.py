"""Fences around Markdown and HTML are removed, and HTML is sanitized."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.schemas import TextFormat
from app.tasks.ocr import PARSERS
from app.tasks.parsers.base import AnswerParser, AnswerPart
from app.tasks.parsers.code_fence import CodeFenceParser
from app.tasks.parsers.html import HtmlParser, sanitize, split_blocks


def read(parser: AnswerParser, text: str, step: int = 1) -> str:
    part = AnswerPart(parser)
    said = [part.feed(text[at : at + step]) for at in range(0, len(text), step)]
    said.append(part.finish())
    assert "".join(said) == part.text
    return part.text


def markdown() -> CodeFenceParser:
    return CodeFenceParser({"markdown", "md"})


steps = pytest.mark.parametrize("step", [1, 3, 1000])
BODY = "# Title\n\n    code?\n`x` and ``y``\n\n```python\nprint()\n```\n\n$$\n\\frac{a}{b}\n$$\nend"


@steps
@pytest.mark.parametrize(
    "around", ["{}", "```markdown\n{}\n```", "\n```MD\n{}\n```\n", "~~~markdown\n{}\n~~~", "{}\n\n"]
)
def test_the_fence_around_the_whole_goes(around: str, step: int) -> None:
    assert read(markdown(), around.replace("{}", BODY), step).strip("\n") == BODY


@steps
def test_a_fence_of_the_documents_own_stays(step: int) -> None:
    for own in ("```python\nx = 1\n```", "```\nplain\n```", "text\n```markdown\n# a\n```\nmore"):
        assert read(markdown(), own, step) == own


def test_words_behind_the_fence_stay() -> None:
    said = read(markdown(), "```markdown\n# a\n```\nThat is all.")
    assert said == "# a\nThat is all."


def test_text_comes_as_it_is_written() -> None:
    part = AnswerPart(PARSERS[TextFormat.TEXT]())
    assert part.feed("Tot") == "Tot"
    assert part.feed("al\n  `") == "al"
    assert part.feed("b") == "\n  `b"
    assert part.feed("\n\n") == ""
    assert part.finish() == ""
    assert part.text == "Total\n  `b"


def test_a_loop_is_cut_also_where_it_is_held_back() -> None:
    part = AnswerPart(markdown())
    part.feed("abcdef\n\n``")
    part.retract(6)
    assert part.text == "abcd"


@settings(max_examples=300, deadline=None)
@given(st.text("`~ab \n#md", max_size=60), st.integers(1, 9))
def test_without_a_fence_nothing_changes_and_pieces_do_not_matter(text: str, step: int) -> None:
    assert read(markdown(), text, step) == read(markdown(), text, 1000)
    if not re.match(r"\s*(```|~~~)", text):
        assert read(markdown(), text, step).rstrip() == text.rstrip()


PAGE = """```html
<!DOCTYPE html><html><head><title>T</title><style>p{color:red}</style></head>
<body onload="steal()"><div class="page">
<h1 onclick="steal()">Price $a<b$</h1>
Loose text
on two lines
<table><tr><th>a<th colspan=2 style="x">b<tr><td>$5<td>$6<td>7</table>
<p>a <a href="javascript:steal()">link</a><img src=x onerror=steal()> $$\\frac{a}{b} < c$$</p>
<script>steal()</script><ul><li>one<li>two<ul><li>three</ul></ul>tail <b>end</div>
</body></html>
```"""
SOUND = """<h1>Price $a&lt;b$</h1>
<p>Loose text<br>on two lines</p>
<table><tbody><tr><th>a</th><th colspan="2">b</th></tr><tr><td>$5</td><td>$6</td><td>7</td></tr>\
</tbody></table>
<p>a link $$\\frac{a}{b} &lt; c$$</p>
<ul><li>one</li><li>two<ul><li>three</li></ul></li></ul>
<p>tail <b>end</b></p>"""


@steps
def test_html_is_one_sound_fragment(step: int) -> None:
    assert read(HtmlParser(), PAGE, step) == SOUND
    assert split_blocks(SOUND) == SOUND.split("\n")


def test_a_block_comes_when_it_is_whole() -> None:
    part = AnswerPart(HtmlParser())
    assert part.feed("<h1>a</h1><p>b") == "<h1>a</h1>"
    assert part.feed("</p><ta") == "\n<p>b</p>"
    assert part.feed("ble><tr><td>c</td></tr>") == ""
    assert part.finish() == "\n<table><tbody><tr><td>c</td></tr></tbody></table>"


def test_plain_text_becomes_paragraphs() -> None:
    said = read(HtmlParser(), "one\ntwo & three < 4\n\nfour")
    assert said == "<p>one<br>two &amp; three &lt; 4</p>\n<p>four</p>"
    assert read(HtmlParser(), "```html\n```") == ""


PIECES = [
    *("<script>", "</script>", "<style>", "<img src=x onerror=steal()>", "<p onclick='steal()'>"),
    *("<svg onload=steal()>", "<a href='javascript:steal()'>", "<iframe srcdoc='<script>'>", "<p"),
    *("<!--", "-->", "<math><mi>", "<table>", "<td>", "</table>", "$a<b$", "$", "<", ">", "'", '"'),
    *("</p>", "<pre>", "</pre>", "&lt;script&gt;", "<noscript>", "<template>", "text", "\n", "```"),
    *("<ul><li>", "</ul>", "<hr>", "<textarea>", "<title>", "<xmp>", "<base href=//x>"),
]
UNSAFE = re.compile(r"<[^>]*\bon\w+\s*=|<\s*(script|style|img|iframe|svg|a|base|math)\b", re.I)


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), st.integers(1, 40))
def test_nothing_that_runs_or_fetches_comes_out(soup: str, step: int) -> None:
    said = read(HtmlParser(), soup, step)
    assert not UNSAFE.search(said)
    assert sanitize(said) == said or not UNSAFE.search(sanitize(said))
    opened = re.findall(r"<(?!br|hr)([a-z0-9]+)", said)
    assert sorted(opened) == sorted(re.findall(r"</([a-z0-9]+)", said))
