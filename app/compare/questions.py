"""The requests of a comparison: about the examples and about the user's own images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.client.request_body import IMAGE_SUFFIXES

EXAMPLES = Path(__file__).parents[2] / "examples"
SEED = 1  # the same in every run


@dataclass(frozen=True, slots=True)
class Question:
    """One request about one file. truth: the text in it, if known."""

    file: Path
    task: str
    fields: Mapping[str, object] = field(default_factory=dict)
    truth: str | None = None

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def question_text(self) -> str:
        """The question of the user, if there is one."""
        return str(self.fields.get("question", ""))


def examples() -> list[Question]:
    """The examples of the repository: a photo, a Korean receipt, a table."""
    receipt, table = EXAMPLES / "receipt_ko.png", EXAMPLES / "table.png"
    return [
        _describe(EXAMPLES / "photo.jpg"),
        _ocr(receipt),
        _ocr(table),
        _ask(receipt, "합계는 얼마인가요?"),
        _ask(table, "Which month had the most errors?"),
    ]


def from_folder(folder: Path, questions: Sequence[str] = ()) -> list[Question]:
    """Requests about all images and documents of a folder.

    A file with its text in `NAME.txt` gets OCR, others a description, and each file gets each of
    `questions`.

    Raises:
        ValueError: the folder does not exist or holds no images.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder.")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise ValueError(f"{folder} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}).")
    seen = [read if read.truth else _describe(read.file) for read in map(_ocr, files)]
    # One file after another, because an image of the previous request is in the engine's cache.
    return [*seen, *(_ask(file, question) for question in questions for file in files)]


def _describe(file: Path) -> Question:
    return Question(file, "describe", {"seed": SEED})


def _ask(file: Path, question: str) -> Question:
    return Question(file, "vqa", {"seed": SEED, "question": question})


def _ocr(file: Path) -> Question:
    truth_file = file.with_suffix(".txt")
    truth = _decode(truth_file.read_bytes()) if truth_file.is_file() else ""
    return Question(file, "ocr", {"seed": SEED}, truth if truth.strip() else None)


def _decode(data: bytes) -> str:
    """Decode UTF-8, else CP949 as written by Korean Windows."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp949", errors="replace")
