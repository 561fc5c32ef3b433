"""What every model is asked: about the examples, and about the user's own pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
SUFFIXES |= {".avif", ".heic", ".heif", ".pdf"}
SEED = 1  # what is left to chance then falls alike in every run


@dataclass(frozen=True, slots=True)
class Question:
    """One request about one file. truth: what is written in it, where that is known."""

    file: Path
    task: str
    fields: Mapping[str, object] = field(default_factory=dict)
    truth: str | None = None

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def question_text(self) -> str:
        """The user's own words, where there are any."""
        return str(self.fields.get("question", ""))


def examples() -> list[Question]:
    """Those of the repository: a photo, a Korean receipt, a table."""
    receipt, table = EXAMPLES / "receipt_ko.png", EXAMPLES / "table.png"
    return [
        _describe(EXAMPLES / "photo.jpg"),
        _ocr(receipt),
        _ocr(table),
        _ask(receipt, "합계는 얼마인가요?"),
        _ask(table, "Which month had the most errors?"),
    ]


def from_folder(folder: Path, questions: Sequence[str] = ()) -> list[Question]:
    """All pictures and documents of a folder: read where a truth file (`NAME.txt`) lies beside,
    else described; and each of `questions` about each.

    Raises:
        ValueError: there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder.")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(f"{folder} holds no images ({', '.join(sorted(SUFFIXES))}).")
    seen = [read if read.truth else _describe(read.file) for read in map(_ocr, files)]
    # File after file, not question after question: a picture that was just asked about is in the
    # engine's cache.
    return [*seen, *(_ask(file, question) for question in questions for file in files)]


def _describe(file: Path) -> Question:
    return Question(file, "describe", {"seed": SEED})


def _ask(file: Path, question: str) -> Question:
    return Question(file, "vqa", {"seed": SEED, "question": question})


def _ocr(file: Path) -> Question:
    beside = file.with_suffix(".txt")
    truth = _decode(beside.read_bytes()) if beside.is_file() else ""
    return Question(file, "ocr", {"seed": SEED}, truth if truth.strip() else None)


def _decode(data: bytes) -> str:
    """UTF-8, else what Korean Windows writes."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp949", errors="replace")
