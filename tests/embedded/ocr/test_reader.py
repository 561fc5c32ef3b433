"""The reader on real models: the examples, turned pages, limits, and what is no text."""

import threading
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from app.embedded.cancellation import Cancelled
from app.embedded.images.pixels import Pixels
from app.embedded.ocr import reader as ocr
from app.embedded.ocr.models import Readers
from tests.embedded.pictures import pixels, truth


def read(image: Pixels, readers: Readers) -> list[str]:
    """The lines, single spaces."""
    found = ocr.read(image, readers, threading.Event())
    return [" ".join(line.text.split()) for line in found if isinstance(line, ocr.Line)]


def written(*lines: str, size: float = 1.0) -> Pixels:
    """Latin text in one of OpenCV's own strokes fonts, black on white."""
    image = np.full((40 + 60 * len(lines), 900, 3), 255, dtype=np.uint8)
    for row, line in enumerate(lines):
        place = (40, 70 + 60 * row)
        cv2.putText(image, line, place, cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 2, cv2.LINE_AA)
    return image


@pytest.mark.parametrize("name", ["receipt_ko", "table"])
def test_examples_to_the_letter(readers: Readers, name: str) -> None:
    assert read(pixels(f"{name}.png"), readers) == truth(f"{name}.txt")


def test_columns_are_apart_and_aligned(readers: Readers) -> None:
    found = ocr.read(pixels("table.png"), readers, threading.Event())
    rows = [line.text for line in found if isinstance(line, ocr.Line)][2:]
    assert [len(row.split("  ", 1)) for row in rows] == [2] * 8
    assert len({row.index(row.split()[-1]) for row in rows}) <= 2
    for row in rows:
        assert len([cell for cell in row.split("  ") if cell.strip()]) == 5


@pytest.mark.parametrize(
    ("name", "turn"),
    [
        ("receipt_ko", cv2.ROTATE_90_CLOCKWISE),
        ("receipt_ko", cv2.ROTATE_180),
        ("table", cv2.ROTATE_90_COUNTERCLOCKWISE),
        ("table", cv2.ROTATE_180),
    ],
)
def test_turned_pages(readers: Readers, name: str, turn: int) -> None:
    turned = np.asarray(cv2.rotate(pixels(f"{name}.png"), turn), dtype=np.uint8)
    assert read(turned, readers) == truth(f"{name}.txt")


def test_light_on_dark(readers: Readers) -> None:
    assert read(255 - pixels("receipt_ko.png"), readers) == truth("receipt_ko.txt")


def test_skewed_page(readers: Readers) -> None:
    page = written("Invoice No. 2026-00417", "Amount due: $1,249.99", "Thank you very much")
    height, width = page.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 4, 1)
    skewed = cv2.warpAffine(page, turn, (width, height), borderValue=(255, 255, 255))
    assert read(np.asarray(skewed, dtype=np.uint8), readers) == [
        "Invoice No. 2026-00417",
        "Amount due: $1,249.99",
        "Thank you very much",
    ]


def test_wide_banner(readers: Readers) -> None:
    """Enlarged to the detector's shorter side it would have 24,000 columns."""
    banner = np.full((60, 2400, 3), 255, dtype=np.uint8)
    cv2.putText(banner, "A long banner", (900, 42), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (0, 0, 0), 2)
    started = time.monotonic()
    assert read(banner, readers) == ["A long banner"]
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("shape", [(1, 1), (2, 500), (500, 2), (64, 64)])
def test_nothing_to_read(readers: Readers, shape: tuple[int, int]) -> None:
    assert read(np.full((*shape, 3), 200, dtype=np.uint8), readers) == []


def test_photo_without_text(readers: Readers) -> None:
    assert read(pixels("photo.jpg"), readers) == []


def test_noise_is_no_text(readers: Readers) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (400, 600, 3), dtype=np.uint8)
    assert read(noise, readers) == []


def test_time_limit(readers: Readers) -> None:
    found = ocr.read(pixels("table.png"), readers, threading.Event(), time_limit_s=0)
    assert list(found) == [ocr.Stopped(seconds=0)]


def test_most_boxes(readers: Readers) -> None:
    found = list(ocr.read(pixels("table.png"), readers, threading.Event(), max_boxes=2))
    assert found == [
        ocr.Line("Monthly service report"),
        ocr.Line("Period: 2026-01 to 2026-06. Latency is the 95th percentile."),
        ocr.Stopped(boxes=2),
    ]


def test_cancelled_between_lines(readers: Readers) -> None:
    cancelled = threading.Event()
    found = ocr.read(pixels("table.png"), readers, cancelled)
    assert next(found) == ocr.Line("Monthly service report")
    cancelled.set()
    with pytest.raises(Cancelled):
        next(found)


def test_without_korean(readers: Readers) -> None:
    """What may be Korean is marked, never guessed, and the reading says why."""
    crippled = replace(readers, hangul=None, hangul_missing="kor.traineddata is missing")
    *lines, last = ocr.read(pixels("receipt_ko.png"), crippled, threading.Event())
    assert last == ocr.NoKorean("kor.traineddata is missing")
    texts = [line.text for line in lines if isinstance(line, ocr.Line)]
    assert any("123-45-67890 [?]" in text for text in texts)
    assert any(text.split() == ["[?]", "23,127"] for text in texts)


def test_english_without_korean(readers: Readers) -> None:
    """Nothing is missed where there is none."""
    crippled = replace(readers, hangul=None, hangul_missing="kor.traineddata is missing")
    found = list(ocr.read(written("Plain English text"), crippled, threading.Event()))
    assert found == [ocr.Line("Plain English text")]
