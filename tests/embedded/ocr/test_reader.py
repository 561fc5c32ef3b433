"""Reading with the loaded models: examples, rotated pages, limits, images without text."""

import threading
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from app.embedded.cancellation import Cancelled
from app.embedded.images.pixels import Pixels
from app.embedded.ocr import reader
from app.embedded.ocr.models import OcrModels
from app.embedded.ocr.ppocr import DETECT_PIXELS
from tests.embedded.pictures import pixels, truth


def read(image: Pixels, ocr_models: OcrModels) -> list[str]:
    """The lines with single spaces."""
    found = reader.read_image(image, ocr_models, threading.Event())
    return [" ".join(line.text.split()) for line in found if isinstance(line, reader.TextLine)]


def written(*lines: str, size: float = 1.0) -> Pixels:
    """Latin text in one of OpenCV's stroke fonts, black on white."""
    image = np.full((40 + 60 * len(lines), 900, 3), 255, dtype=np.uint8)
    for row, line in enumerate(lines):
        place = (40, 70 + 60 * row)
        cv2.putText(image, line, place, cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 2, cv2.LINE_AA)
    return image


@pytest.mark.parametrize("name", ["receipt_ko", "table"])
def test_examples_to_the_letter(ocr_models: OcrModels, name: str) -> None:
    assert read(pixels(f"{name}.png"), ocr_models) == truth(f"{name}.txt")


def test_columns_are_apart_and_aligned(ocr_models: OcrModels) -> None:
    found = reader.read_image(pixels("table.png"), ocr_models, threading.Event())
    rows = [line.text for line in found if isinstance(line, reader.TextLine)][2:]
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
def test_turned_pages(ocr_models: OcrModels, name: str, turn: int) -> None:
    turned = np.asarray(cv2.rotate(pixels(f"{name}.png"), turn), dtype=np.uint8)
    assert read(turned, ocr_models) == truth(f"{name}.txt")


def test_light_on_dark(ocr_models: OcrModels) -> None:
    assert read(255 - pixels("receipt_ko.png"), ocr_models) == truth("receipt_ko.txt")


def test_skewed_page(ocr_models: OcrModels) -> None:
    page = written("Invoice No. 2026-00417", "Amount due: $1,249.99", "Thank you very much")
    height, width = page.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 4, 1)
    skewed = cv2.warpAffine(page, turn, (width, height), borderValue=(255, 255, 255))
    assert read(np.asarray(skewed, dtype=np.uint8), ocr_models) == [
        "Invoice No. 2026-00417",
        "Amount due: $1,249.99",
        "Thank you very much",
    ]


def test_wide_banner(ocr_models: OcrModels, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would have 24,000 columns if it were enlarged to the detector's shorter side."""
    banner = np.full((60, 2400, 3), 255, dtype=np.uint8)
    cv2.putText(banner, "A long banner", (900, 42), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (0, 0, 0), 2)
    detect, sizes = ocr_models.detector._rapid, list[int]()

    def counted(image: Pixels) -> Any:
        sizes.append(image.shape[0] * image.shape[1])
        return detect(image)

    monkeypatch.setattr(ocr_models.detector, "_rapid", counted)
    assert read(banner, ocr_models) == ["A long banner"]
    assert max(sizes) < 1.05 * DETECT_PIXELS


@pytest.mark.parametrize("shape", [(1, 1), (2, 500), (500, 2), (64, 64)])
def test_nothing_to_read(ocr_models: OcrModels, shape: tuple[int, int]) -> None:
    assert read(np.full((*shape, 3), 200, dtype=np.uint8), ocr_models) == []


def test_photo_without_text(ocr_models: OcrModels) -> None:
    assert read(pixels("photo.jpg"), ocr_models) == []


def test_noise_is_no_text(ocr_models: OcrModels) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (400, 600, 3), dtype=np.uint8)
    assert read(noise, ocr_models) == []


def test_time_limit(ocr_models: OcrModels) -> None:
    found = reader.read_image(pixels("table.png"), ocr_models, threading.Event(), time_limit_s=0)
    assert list(found) == [reader.Truncated(seconds=0)]


def test_most_boxes(ocr_models: OcrModels) -> None:
    found = list(reader.read_image(pixels("table.png"), ocr_models, threading.Event(), max_boxes=2))
    assert found == [
        reader.TextLine("Monthly service report"),
        reader.TextLine("Period: 2026-01 to 2026-06. Latency is the 95th percentile."),
        reader.Truncated(boxes=2),
    ]


def test_cancelled_between_lines(ocr_models: OcrModels) -> None:
    cancelled = threading.Event()
    found = reader.read_image(pixels("table.png"), ocr_models, cancelled)
    assert next(found) == reader.TextLine("Monthly service report")
    cancelled.set()
    with pytest.raises(Cancelled):
        next(found)


def test_without_korean(ocr_models: OcrModels) -> None:
    """Text that may be Korean is marked `[?]`, and the last event gives the reason."""
    crippled = replace(ocr_models, tesseract=None, tesseract_error="kor.traineddata is missing")
    *lines, last = reader.read_image(pixels("receipt_ko.png"), crippled, threading.Event())
    assert last == reader.KoreanUnavailable("kor.traineddata is missing")
    texts = [line.text for line in lines if isinstance(line, reader.TextLine)]
    assert any("123-45-67890 [?]" in text for text in texts)
    assert any(text.split() == ["[?]", "23,127"] for text in texts)


def test_english_without_korean(ocr_models: OcrModels) -> None:
    """A page without Korean has no marks."""
    crippled = replace(ocr_models, tesseract=None, tesseract_error="kor.traineddata is missing")
    found = list(reader.read_image(written("Plain English text"), crippled, threading.Event()))
    assert found == [reader.TextLine("Plain English text")]
