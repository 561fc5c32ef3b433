"""Reports for the tests."""

from datetime import UTC, datetime
from pathlib import Path

from app.compare.questions import Question
from app.compare.report import ModelResult, QuestionResult, Report, Run


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
