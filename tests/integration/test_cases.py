"""Files with the truth beside them, read by a real server in front of the embedded engine."""

from pathlib import Path

import httpx
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from app.compare.error_rates import ErrorRates
from benchmarks.pages.writer import Sheet, written
from tests.pictures import encoded

CASES = Path(__file__).parents[1] / "cases"
FILES = sorted(path for path in CASES.iterdir() if path.suffix in (".pdf", ".png", ".tif"))
MOST_WRONG = {".pdf": 0.02, ".png": 0.05, ".tif": 0.05}  # shares of the characters
HIDDEN = {"m_hidden_white": "bankrupt", "g_scan_bad_ocr_layer": "2JCHxf", "b2_rot13": "Qryvirel"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_is_on_the_page_is_read(reader: httpx.Client, path: Path) -> None:
    truth = path.with_name(f"{path.stem}.truth.txt").read_text()
    answer = reader.post("/v1/ocr", files={"image": path.read_bytes()}).json()
    wrong = ErrorRates.measure(answer["text"], truth)
    print(
        f"{path.stem}: CER {wrong.cer:.3f}, {wrong.cer_spaced:.3f} with spaces", answer["warnings"]
    )
    assert wrong.cer <= MOST_WRONG[path.suffix]
    assert HIDDEN.get(path.stem, "\0") not in answer["text"]


def test_hidden_text_is_counted(reader: httpx.Client) -> None:
    data = (CASES / "m_hidden_white.pdf").read_bytes()
    answer = reader.post("/v1/ocr", files={"image": data}).json()
    assert any("31 characters" in warning for warning in answer["warnings"])


def test_a_layer_is_in_composed_form(reader: httpx.Client) -> None:
    data = (CASES / "i_nfd_layer.pdf").read_bytes()
    answer = reader.post("/v1/ocr", files={"image": data}).json()
    assert answer["text"] == (CASES / "i_nfd_layer.truth.txt").read_text().strip()


def test_every_task_sees_what_was_filled_in(reader: httpx.Client) -> None:
    """The same page through three tasks: the text layer of its content lacks the fields."""
    files = {"image": (CASES / "d_filled_form.pdf").read_bytes()}
    read = reader.post("/v1/ocr", files=files).json()["text"]
    question = {"question": "What is the plate number?"}
    told = reader.post("/v1/vqa", files=files, data=question).json()["answers"][0]["text"]
    schema = '{"type": "object", "properties": {"plate_number": {"type": ["string", "null"]}}}'
    filled = reader.post("/v1/extract", files=files, data={"schema": schema}).json()["data"]
    print("ocr:", read, "| vqa:", told, "| extract:", filled)
    assert "KX 4071 B" in read
    assert "KX 4071 B" in told
    assert filled == {"plate_number": "KX 4071 B"}


def test_a_table_that_is_a_picture_stands_between_the_pages_own_text(reader: httpx.Client) -> None:
    table = Image.new("L", (900, 240), 255)
    for at, row in enumerate(("Kettle   12.50", "Teapot   31.00", "Saucer   48.00")):
        font = ImageFont.load_default(40)
        ImageDraw.Draw(table).text((40, 30 + 66 * at), row, font=font, fill=10)
    sheet = Sheet()
    for y, said in ((760, "Prices for the summer of 2026"), (300, "They hold until September.")):
        sheet.marks.append(f"BT /FB 14 Tf 60 {y} Td ({said}) Tj ET")
    sheet.image(table, (60, 500, 450, 120))
    answer = reader.post("/v1/ocr", files={"image": written([sheet])}).json()
    rows = [" ".join(line.split()) for line in answer["text"].splitlines()]
    assert rows[0] == "Prices for the summer of 2026"
    assert rows[-1] == "They hold until September."
    assert rows[1:-1] == ["Kettle 12.50", "Teapot 31.00", "Saucer 48.00"]


def test_lines_have_the_confidence_of_their_least_sure_digit(reader: httpx.Client) -> None:
    """A small, blurred number is doubted; the same number in good print is not."""
    confidences = []
    for size, blur in ((40, 0.0), (16, 1.6)):
        image = Image.new("L", (700, 120), 255)
        font = ImageFont.load_default(size)
        ImageDraw.Draw(image).text((30, 30), "Meter reading 0493816", font=font, fill=40)
        image = image.filter(ImageFilter.GaussianBlur(blur))
        files = {"image": encoded(image, "PNG")}
        answer = reader.post("/v1/ocr", files=files, data={"format": "json"}).json()
        confidences.append(min(one["confidence"] for one in answer["data"]["lines"]))
    print("confidence of a clear and of a blurred number:", confidences)
    assert confidences[0] > 0.9 > confidences[1]
