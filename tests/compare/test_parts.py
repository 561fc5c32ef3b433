"""What is asked, how mistakes are counted, and what the page makes of answers."""

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from app.compare.error_rates import ErrorRates
from app.compare.page import diff_words, page, seconds
from app.compare.questions import Question, examples, from_folder
from app.compare.report import ModelResult, QuestionResult, Report, Run
from tests.pictures import encoded, scene


@pytest.mark.parametrize(
    ("read", "written", "cer", "wer"),
    [
        ("합계 25,440원", "합계  25,440원\n", 0, 0),
        ("합계25,440원", "합계 25,440원", 0, 1),
        ("abcd", "abce", 0.25, 1),
        ("", "ab cd", 1, 1),
        ("one two x three", "one two three", 1 / 11, 1 / 3),
        ("Ａ１", "A1", 0, 0),
        ("가", "가", 0, 0),
    ],
)
def test_mistakes(read: str, written: str, cer: float, wer: float) -> None:
    wrong = ErrorRates.measure(read, written)
    assert wrong.cer == pytest.approx(cer)
    assert wrong.wer == pytest.approx(wer)


def test_the_examples_are_there() -> None:
    question_text = examples()
    assert all(one.file.is_file() for one in question_text)
    assert sum(one.truth is not None for one in question_text) == 2
    assert all(one.file != other.file for one, other in pairwise(question_text))


def test_ones_own_pictures(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png"):
        (tmp_path / name).write_bytes(encoded(scene(32, 32)))
    (tmp_path / "a.txt").write_bytes("합계 1원".encode("cp949"))
    (tmp_path / "notes.md").write_text("no picture")
    question_text = from_folder(tmp_path, ["What?", "Why?"])
    assert [(one.name, one.task, one.question_text) for one in question_text] == [
        ("a.png", "ocr", ""),
        ("b.JPG", "describe", ""),
        ("a.png", "vqa", "What?"),
        ("b.JPG", "vqa", "What?"),
        ("a.png", "vqa", "Why?"),
        ("b.JPG", "vqa", "Why?"),
    ]
    assert question_text[0].truth == "합계 1원"
    with pytest.raises(ValueError, match="no folder"):
        from_folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no pictures"):
        from_folder(tmp_path / "empty")


def test_pieces_are_the_answer_and_what_it_lacks() -> None:
    read, written = "one  twO three\nfive\n", "one two three\nfour five"
    found = diff_words(read, written)
    assert "".join(one.text for one in found if one.kind != "missing") == read
    assert [(one.kind, one.text.strip()) for one in found if one.kind != "same"][:2] == [
        ("more", "twO"),
        ("missing", "two"),
    ]
    assert "four" in [one.text.strip() for one in found if one.kind == "missing"]


def run(total_s: float, text: str = "a", rate: float = 10) -> Run:
    return Run(total_s / 2, total_s, rate, 100, 5, text)


def report(file: Path, *answers: str) -> Report:
    question = Question(file, "ocr", truth="합계 100원")
    made = Report(datetime.now(UTC), "Ollama API 0", 3, [question], complete=True)
    for at, answer in enumerate(answers, 1):
        cells = [QuestionResult(question, [run(at), run(3 * at, answer), run(2 * at, answer)])]
        cells[0].runs[0] = run(at, answer)
        made.models.append(ModelResult(f"model-{at}", first_request_s=9, load_s=8, cells=cells))
    return made


def test_medians_and_ratios(tmp_path: Path) -> None:
    made = report(tmp_path / "none.png", "합계 100원", "합계 700원")
    first, second = made.models
    assert (first.total_s, second.total_s) == (2, 4)
    assert second.speedup_over(first) == 0.5
    assert first.error_rates and first.error_rates.cer == 0
    assert second.error_rates and second.error_rates.wer == 0.5
    to_dict = made.to_dict()["models"][1]
    assert to_dict["median"]["total_s"] == 4
    assert to_dict["median"]["cer"] == pytest.approx(1 / 6, abs=1e-4)
    assert [run["total_s"] for run in to_dict["questions"][0]["runs"]] == [2, 6, 4]


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
