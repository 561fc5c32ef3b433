"""Parsers for answers that are lists of boxes. The answer's text has one line for each box."""

import re
import unicodedata
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

from app.images.picture import Picture
from app.schemas import DetectedObject
from app.tasks.parsers.base import AnswerParser
from app.tasks.parsers.grounding import Box, ObjectScanner, is_empty_answer, parse_box, parse_text

DUPLICATE_IOU = 0.95  # intersection over union from which two boxes of one label are duplicates
WORD = re.compile(r"[^\W_]+")
PLURALS = (("s", ""), ("es", ""), ("ies", "y"), ("ves", "f"), ("ves", "fe"), ("들", ""))
MAX_QUOTED_CHARACTERS = 200  # characters quoted of an answer without objects
MAX_LISTED_LABELS, MAX_LABEL_CHARACTERS = (
    20,
    200,
)  # labels listed in a warning; characters read of a label
MAX_COMPARED_BOXES = 300  # latest boxes of a label that a new box is compared with


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text with its box in pixels of the original image.

    `confidence` is 0 to 1: that of the least certain digit, or of the line. It is None for an
    engine that reports none.
    """

    text: str
    box: Box | None
    image: int
    page: int | None
    confidence: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The line as it appears in the response."""
        fields = asdict(self)
        if self.confidence is None:
            del fields["confidence"]
        return fields


class BoxParser(AnswerParser):
    """Reads the JSON objects of an answer, each with its box in pixels of the original image."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.without_box = 0
        self._scanner = ObjectScanner()
        self._raw: list[str] = []
        self._has_text = False

    def feed(self, text: str) -> str:
        self._raw.append(text)
        text_out = ""
        for found in self._scanner.feed(text):
            box = parse_box(found, self.picture.width, self.picture.height)
            if line := self.add_object(found, box):
                text_out += f"\n{line}" if self._has_text else line
                self._has_text = True
        return text_out

    def retract(self, characters: int) -> int:
        return 0

    def add_object(self, found: dict[str, Any], box: Box | None) -> str:
        """Keep an object. Returns its line of text, empty if the object is dropped."""
        raise NotImplementedError

    def warnings(self) -> list[str]:
        where = f"image[{self.picture.index}]"
        where += f" page {self.picture.page}" if self.picture.page else ""
        return [f"{where}: {note}" for note in self.notes()]

    def notes(self) -> list[str]:
        """Warnings about objects that were left out."""
        damaged = self._scanner.damaged
        return [f"{damaged} object(s) could not be parsed."] if damaged else []

    def raw_text(self) -> str:
        """The model's unprocessed output."""
        return "".join(self._raw)


class TextLineParser(BoxParser):
    """Lines of text. A line without a usable box is kept, with `box` None."""

    def __init__(self, picture: Picture) -> None:
        super().__init__(picture)
        self.lines: list[TextLine] = []

    def add_object(self, found: dict[str, Any], box: Box | None) -> str:
        text = parse_text(found)
        if not text.strip():
            return ""
        self.without_box += box is None
        self.lines.append(
            TextLine(
                text,
                box,
                self.picture.index,
                self.picture.page,
                _confidence(found.get("confidence")),
            )
        )
        return text

    def finish(self) -> str:
        """Return an answer without any line unchanged."""
        return "" if self.lines or is_empty_answer(self.raw_text()) else self.raw_text()

    def notes(self) -> list[str]:
        if not self.lines and not is_empty_answer(self.raw_text()):
            return ["the model returned no lines with boxes; its text is returned unchanged."]
        notes = super().notes()
        if self.without_box:
            notes.insert(0, f"{self.without_box} line(s) had no usable box.")
        return notes


def _confidence(value: Any) -> float | None:
    """The value as a number from 0 to 1; None for anything else."""
    number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return float(value) if number and 0 <= value <= 1 else None


class ObjectParser(BoxParser):
    """Objects of the requested labels. Objects without a usable box, of another label and
    duplicates are dropped and counted."""

    def __init__(self, picture: Picture, labels: Sequence[str]) -> None:
        super().__init__(picture)
        self.objects: list[DetectedObject] = []
        self._boxes: dict[str, deque[Box]] = {
            label: deque(maxlen=MAX_COMPARED_BOXES) for label in labels
        }
        self._labels = {_label_key(label): label for label in reversed(labels)}
        self._words = {label: _words(label) for label in labels}
        self._unknown_labels: list[str] = []
        self._duplicates = 0
        self._corrected = False

    def add_object(self, found: dict[str, Any], box: Box | None) -> str:
        said = found.get("label")
        label = self._match_label(said) if isinstance(said, str) else self._only_label()
        if label is None:
            self._unknown_labels.append(str(said or "no label")[:MAX_LABEL_CHARACTERS])
        elif box is None:
            self.without_box += 1
        elif any(_iou(one, box) >= DUPLICATE_IOU for one in self._boxes[label]):
            self._duplicates += 1
        else:
            picture = self.picture
            thing = DetectedObject(label=label, box=box, image=picture.index, page=picture.page)
            self.objects.append(thing)
            self._boxes[label].append(box)
            return f"{label}: {', '.join(f'{side:g}' for side in box)}"
        return ""

    def correction(self) -> str | None:
        """Ask for a correction once if the answer is prose instead of a list."""
        found = self.objects or self.without_box or self._unknown_labels or self._duplicates
        if self._corrected or found or super().notes() or is_empty_answer(self.raw_text()):
            return None
        self._corrected = True
        self._raw = []
        return (
            'That is no list of boxes. Write it as [{"bbox_2d": [x1, y1, x2, y2], "label": "..."}, '
            "...], or [] where there is none, and nothing else."
        )

    def notes(self) -> list[str]:
        notes = super().notes()
        if self.without_box:
            notes.append(f"{self.without_box} object(s) had no usable box.")
        if self._unknown_labels:
            names = ", ".join(islice(dict.fromkeys(self._unknown_labels), MAX_LISTED_LABELS))
            notes.append(
                f"{len(self._unknown_labels)} object(s) had other labels and were left out: "
                f"{names}."
            )
        if self._duplicates:
            notes.append(f"{self._duplicates} object(s) were duplicates and were left out.")
        if not (self.objects or notes or is_empty_answer(self.raw_text())):
            quoted = self.raw_text().strip()[:MAX_QUOTED_CHARACTERS]
            notes.append(f"the model returned no objects; its answer was: {quoted}")
        if self._corrected:
            notes.append("the first answer had no boxes; the model was asked again.")
        return notes

    def _match_label(self, said: str) -> str | None:
        """The requested label that the model's label matches; None without a match.

        Models add an article, a plural or an adjective (`a red cup`). If several labels match, the
        one with the most words wins; a tie is no match.
        """
        if len(said) > MAX_LABEL_CHARACTERS:
            return None
        if exact := self._labels.get(_label_key(said)):
            return exact
        words = _words(said)
        near = [label for label, wanted in self._words.items() if _contains(words, wanted)]
        longest = max((len(self._words[label]) for label in near), default=0)
        meant = [label for label in near if len(self._words[label]) == longest]
        return meant[0] if len(meant) == 1 else None

    def _only_label(self) -> str | None:
        """The label of an object without one, if only one label was requested."""
        return next(iter(self._labels.values())) if len(self._labels) == 1 else None


Words = list[set[str]]  # a word is the set of its forms


def _normalized(label: str) -> str:
    """Normalize the label (NFKC, case folded): macOS writes decomposed Hangul."""
    return unicodedata.normalize("NFKC", label).casefold()


def _label_key(label: str) -> str:
    """A lookup key that ignores spacing, which varies in Korean."""
    return "".join(WORD.findall(_normalized(label))) or label


def _words(label: str) -> Words:
    return [_word_forms(word) for word in WORD.findall(_normalized(label))]


def _word_forms(word: str) -> set[str]:
    """The word and the singular forms that it may be the plural of."""
    bare = {word.removesuffix(end) + one for end, one in PLURALS if word[1:].endswith(end)}
    return {word} | bare


def _contains(words: Words, wanted: Words) -> bool:
    """Whether `words` contains `wanted` as a consecutive run."""
    places = range(len(words) - len(wanted) + 1) if wanted else ()
    return any(
        all(one & other for one, other in zip(words[at:], wanted, strict=False)) for at in places
    )


def _iou(one: Box, other: Box) -> float:
    """Intersection over union, 0 to 1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return both / (sum(areas) - both)
