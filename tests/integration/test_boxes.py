"""Boxes on synthetic pages come back in pixels of the original, whatever happened to the picture.

The truth is drawn in colours. What the engine is sent is looked at (is it upright, and is each
colour where it should be?); then it answers with the exact place on its grid of 0 to 1000.
"""

import base64
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pypdfium2 as pdfium  # type: ignore[import-untyped]
import pytest
from PIL import Image, ImageChops, ImageDraw

from tests.fake_ollama.script import says
from tests.fake_ollama.server import FakeOllama
from tests.pictures import STORED

Box = tuple[float, float, float, float]

COLOURS = {"red": (230, 0, 0), "green": (0, 170, 0), "blue": (0, 0, 230), "pink": (230, 0, 230)}
GRID = 1000
NEAR_PX = 2.0  # of the original: what is asked for
SEEN_PX = 2.0  # of the picture as it was sent: its edges are blurred


def truth(width: int, height: int) -> dict[str, Box]:
    """Four boxes, none of them anywhere near the mirror image of another."""
    shares = {
        "red": (0.05, 0.04, 0.3, 0.13),
        "green": (0.61, 0.08, 0.93, 0.3),
        "blue": (0.1, 0.47, 0.47, 0.58),
        "pink": (0.52, 0.7, 0.71, 0.97),
    }
    sides = (width, height, width, height)
    return {
        name: tuple(round(share * side) for share, side in zip(four, sides, strict=True))  # type: ignore[misc]
        for name, four in shares.items()
    }


def page(width: int, height: int) -> Image.Image:
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for name, (left, top, right, bottom) in truth(width, height).items():
        draw.rectangle((left, top, right - 1, bottom - 1), fill=COLOURS[name])
    return image


def photo(width: int, height: int, orientation: int) -> bytes:
    image = page(width, height)
    turn = STORED[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    stored = image.transpose(turn) if turn is not None else image
    stored.save(out, "JPEG", quality=95, exif=exif)
    return out.getvalue()


def document(width: int, height: int, turned: int) -> bytes:
    """A PDF of two pages, a point a pixel; the second has the boxes, and is turned by so many
    degrees (the truth is of the page as it is shown)."""
    back = {0: None, 90: Image.Transpose.ROTATE_90, 270: Image.Transpose.ROTATE_270}[turned]
    image = page(width, height)
    stored = image.transpose(back) if back is not None else image
    out = io.BytesIO()
    first = Image.new("RGB", (300, 400), "white")
    first.save(out, "PDF", resolution=72, save_all=True, append_images=[stored])
    pdf = pdfium.PdfDocument(out.getvalue())
    pdf[1].set_rotation(turned)
    out = io.BytesIO()
    pdf.save(out)
    return out.getvalue()


def on_grid(box: Box, width: int, height: int, digits: int) -> list[float]:
    sides = (width, height, width, height)
    return [round(value / side * GRID, digits) for value, side in zip(box, sides, strict=True)]


def seen(sent: Image.Image, colour: tuple[int, int, int]) -> Box:
    """Where a colour is in a picture."""
    difference = ImageChops.difference(sent.convert("RGB"), Image.new("RGB", sent.size, colour))
    found = Image.merge(
        "RGB", [band.point(lambda value: 255 * (value < 90)) for band in difference.split()]
    )
    red, green, blue = found.split()
    box = ImageChops.multiply(ImageChops.multiply(red, green), blue).getbbox()
    assert box, "the colour is not there"
    return box


def off(one: Box, other: Box) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def round_trip(
    engine: FakeOllama, scripted: httpx.Client, data: bytes, size: tuple[int, int], **fields: str
) -> Any:
    """Detect and read; the answer of detect."""
    boxes = truth(*size)
    grids = {name: on_grid(box, *size, digits=0) for name, box in boxes.items()}
    things = [{"bbox_2d": grids[name], "label": name} for name in boxes]
    engine.play(says(f"```json\n{json.dumps(things)}\n```"))
    files = {"image": data}
    asked = {"labels": list(boxes), **fields}
    answer = scripted.post("/v1/detect", files=files, data=asked)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    (image,) = told["images"]
    assert (image["width"], image["height"]) == size
    sent = Image.open(io.BytesIO(base64.b64decode(engine.asked[-1]["messages"][-1]["images"][0])))
    assert sent.size == (image["sent_width"], image["sent_height"])
    for name, box in boxes.items():
        scale = (sent.width / size[0], sent.height / size[1]) * 2
        expected: Any = tuple(value * by for value, by in zip(box, scale, strict=True))
        assert off(seen(sent, COLOURS[name]), expected) <= SEEN_PX, name
    found = {one["label"]: one["box"] for one in told["objects"]}
    for name, box in boxes.items():
        assert off(found[name], box) <= NEAR_PX, name
    assert told["warnings"] == []

    lines = [{"bbox_2d": grids[name], "text_content": name} for name in boxes]
    engine.play(says(json.dumps(lines)))
    read = scripted.post("/v1/ocr", files=files, data={"format": "json", **fields}).json()
    assert read["text"].split() == list(boxes)
    for line in read["data"]["lines"]:
        assert off(line["box"], boxes[line["text"]]) <= NEAR_PX
    return told


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("size", [(640, 480), (3000, 2000)], ids=["as it is", "shrunk"])
def test_turned_by_exif(
    engine: FakeOllama, scripted: httpx.Client, size: tuple[int, int], orientation: int
) -> None:
    """On the grid's whole numbers, where 3000 pixels allow an error of 1.5."""
    told = round_trip(engine, scripted, photo(*size, orientation), size)
    assert (told["images"][0]["sent_width"] < size[0]) == (size[0] == 3000)


@pytest.mark.parametrize("detail", ["low", "high"])
def test_shrunk_more_and_less(engine: FakeOllama, scripted: httpx.Client, detail: str) -> None:
    round_trip(engine, scripted, photo(2500, 3200, 6), (2500, 3200), detail=detail)


@pytest.mark.parametrize("turned", [0, 90, 270])
def test_in_a_document(engine: FakeOllama, scripted: httpx.Client, turned: int) -> None:
    """In points of the page as it is shown."""
    told = round_trip(engine, scripted, document(595, 842, turned), (595, 842), pages="2")
    assert {(one["image"], one["page"]) for one in told["objects"]} == {(0, 2)}


def test_what_cannot_be_is_dropped_and_told(engine: FakeOllama, scripted: httpx.Client) -> None:
    things = [
        {"bbox_2d": [-50, 100, 1100, 200], "label": "red"},  # clamped
        {"bbox_2d": [500, 500, 500, 700], "label": "red"},  # no width
        {"bbox_2d": [700, 700, 600, 800], "label": "red"},  # from right to left
        {"bbox_2d": [1200, 0, 1300, 100], "label": "red"},  # outside
        {"bbox_2d": ["a", 0, 1, 2], "label": "red"},
        {"label": "red"},
        {"bbox_2d": [100, 100, 200, 200], "label": "a dog"},  # not asked for
    ]
    engine.play(says(json.dumps(things)))
    data = {"labels": "red", "stream": "false"}
    told = scripted.post("/v1/detect", files={"image": photo(640, 480, 6)}, data=data).json()
    assert [one["box"] for one in told["objects"]] == [[0, 48, 640, 96]]
    assert any("5" in warning for warning in told["warnings"]), told["warnings"]
    assert any("a dog" in warning for warning in told["warnings"])


def test_the_example_draws_them(engine: FakeOllama, scripted: httpx.Client, tmp_path: Path) -> None:
    """`examples/boxes.py`, as a user runs it."""
    picture = tmp_path / "photo.jpg"
    picture.write_bytes(photo(640, 480, 6))
    boxes = truth(640, 480)
    things = [{"bbox_2d": on_grid(box, 640, 480, 0), "label": name} for name, box in boxes.items()]
    engine.play(says(json.dumps(things)))
    out = tmp_path / "drawn.png"
    done = subprocess.run(
        [
            *(sys.executable, "examples/boxes.py", str(picture), *boxes, "--out", str(out)),
            *("--server", str(scripted.base_url).rstrip("/")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"4 boxes on {out}" in done.stdout
    drawn = Image.open(out)
    assert drawn.size == (640, 480)
    for left, top, _, bottom in boxes.values():
        edge = (int(left), int(top + bottom) // 2)
        assert drawn.getpixel(edge) != page(640, 480).getpixel(edge)
