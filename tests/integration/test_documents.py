"""Documents through the server: pages in order, their own text first, a failure told apart."""

import io
import time

import httpx
import pytest
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from tests.events import sse
from tests.images.corpus import photo
from tests.images.files import pdf_of
from tests.inference_server import REPO
from tests.ollama_daemon.process import Daemon
from tests.pictures import encoded, scene, text_pdf

STRIP_OFFSETS, STRIP_SIZES = 273, 279  # TIFF tags
TEXTS = [f"Page {number}: the quick brown fox jumps over." for number in range(1, 6)]
FILES = {"image": ("a.pdf", text_pdf(TEXTS))}
SCANS = {"image": ("scan.pdf", pdf_of(*[scene(64 * n, 64) for n in (1, 2, 3)]))}


def test_text_layers_need_no_model(client: httpx.Client, daemon: Daemon) -> None:
    mark = daemon.mark()
    answer = client.post("/v1/ocr", files=FILES).json()
    assert answer["text"] == "\n\n".join(TEXTS)
    assert [one["page"] for one in answer["images"]] == [1, 2, 3, 4, 5]
    assert answer["usage"]["prompt_tokens"] == 0
    assert answer["warnings"] == ["The text layer of the document was used for page(s) 1-5."]
    assert daemon.since(mark).of("/api/chat") == []


def test_pages_are_selected(client: httpx.Client) -> None:
    answer = client.post("/v1/ocr", files=FILES, data={"pages": "2,4-5"}).json()
    assert answer["text"] == "\n\n".join(TEXTS[number - 1] for number in (2, 4, 5))
    refused = client.post("/v1/ocr", files=FILES, data={"pages": "6"})
    assert (refused.status_code, refused.json()["code"]) == (422, "page_out_of_range")
    assert refused.json()["page_count"] == 5


@pytest.mark.parametrize("form", ["markdown", "html", "json"])
def test_another_form_is_read_by_the_model(client: httpx.Client, daemon: Daemon, form: str) -> None:
    mark = daemon.mark()
    answer = client.post("/v1/ocr", files=FILES, data={"format": form, "pages": "1-2"}).json()
    assert len(daemon.since(mark).prompts) == 2
    assert answer["usage"]["prompt_tokens"] > 0


def test_scanned_pages_stream_in_order_with_their_numbers(
    client: httpx.Client, daemon: Daemon
) -> None:
    mark = daemon.mark()
    events = sse(client.post("/v1/ocr", files=SCANS, data={"stream": "true"}).text)
    pages = [data["page"] for name, data in events if name == "delta"]
    assert pages == sorted(pages)
    assert set(pages) == {1, 2, 3}
    assert all("image" not in data for name, data in events if name == "delta")
    done = events[-1][1]
    assert done["text"].count("\n\n") == 2
    assert len(daemon.since(mark).prompts) == 3


def test_a_description_sees_all_pages_at_once(client: httpx.Client, daemon: Daemon) -> None:
    mark = daemon.mark()
    client.post("/v1/describe", files=SCANS)
    (prompt,) = daemon.since(mark).prompts
    assert "There are 3 pages" in prompt


def tiff_with_damage(pages: int, damaged: set[int]) -> bytes:
    """A TIFF; the compressed pixels of some of its pages (from 1) are rubbish."""
    first, *rest = [scene(200, 200) for _ in range(pages)]
    written = encoded(first, "TIFF", save_all=True, append_images=rest, compression="tiff_lzw")
    data = bytearray(written)
    image = TiffImageFile(io.BytesIO(written))
    for page in damaged:
        image.seek(page - 1)
        at, size = image.tag_v2[STRIP_OFFSETS][0], image.tag_v2[STRIP_SIZES][0]
        data[at : at + size] = b"\xff" * size
    return bytes(data)


def test_a_page_that_fails_is_a_warning_of_its_own(client: httpx.Client) -> None:
    data = tiff_with_damage(3, {2})
    answer = client.post("/v1/ocr", files={"image": data}).json()
    assert answer["text"].count("\n\n") == 1
    (warning,) = answer["warnings"]
    assert warning.startswith("page 2 failed (unreadable_image): image[0] page 2 is damaged")


def test_a_document_of_which_all_pages_fail_is_an_error(client: httpx.Client) -> None:
    response = client.post("/v1/ocr", files={"image": tiff_with_damage(2, {1, 2})})
    assert (response.status_code, response.json()["code"]) == (422, "unreadable_image")


def table(rows: int) -> Image.Image:
    """The upper part of a printed table; each line costs the reader its time."""
    image = Image.open(REPO / "examples/table.png").convert("RGB")
    return image.crop((0, 0, image.width, 105 + 46 * rows))


def test_a_scan_and_a_text_page_are_one_document(reader: httpx.Client) -> None:
    scan, lines = table(4), 2 + 4
    events = sse(
        reader.post(
            "/v1/ocr", files={"image": pdf_of(scan, photo(), scan)}, data={"stream": "true"}
        ).text
    )
    done = events[-1][1]
    truth = "\n".join((REPO / "examples/table.txt").read_text().splitlines()[:lines]).split()
    assert done["text"].split() == [*truth, *truth]


def test_the_first_page_is_out_long_before_the_last(reader: httpx.Client) -> None:
    pages = [table(1)] * 6
    started = time.perf_counter()
    first = None
    data = {"stream": "true"}
    with reader.stream("POST", "/v1/ocr", files={"image": pdf_of(*pages)}, data=data) as answer:
        for line in answer.iter_lines():
            if first is None and line == "event: delta":
                first = time.perf_counter() - started
    total = time.perf_counter() - started
    assert first is not None
    print(f"first text of 6 scanned pages after {first:.2f} s of {total:.2f} s")
    assert first < total / 2
