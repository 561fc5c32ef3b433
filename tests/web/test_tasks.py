"""Each task by the page, end to end, on the embedded engine: what is shown is what was answered."""

import json
import re
from typing import Any

import pytest
from PIL import Image

from tests.events import Event
from tests.inference_server import Server
from tests.pictures import encoded
from tests.web.conftest import Open
from tests.web.visit import EXAMPLES, PERSON, Visit

RECEIPT = EXAMPLES / "receipt_ko.png"
PHOTO = EXAMPLES / "photo.jpg"
LETTER = EXAMPLES / "letter.pdf"


def done(events: list[Event]) -> dict[str, Any]:
    assert events[-1][0] == "done"
    return events[-1][1]


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


async def test_describe(open_page: Open, server: Server) -> None:
    visit = await open_page(server, locale="ko-KR")
    await visit.choose(PHOTO)
    answer = done(await visit.ask())
    assert "에스프레소" in answer["text"], "described in the language of the page"
    assert squeezed(await visit.body()) == squeezed(answer["text"])
    facts = await visit.page.locator(".card .facts").first.inner_text()
    (image,) = answer["images"]
    assert f"600 × 400 → {image['sent_width']} × {image['sent_height']}" in facts
    assert f"{image['tokens']:,} 토큰" in facts
    assert f"{answer['usage']['prompt_tokens']:,} 토큰" in facts
    assert f"{answer['timings']['tokens_per_second']:,}".removesuffix(".0") in facts
    assert json.loads(await visit.view("json")) == answer
    assert await visit.view("text") == answer["text"]


async def test_ocr_of_a_pdf_with_pages(open_page: Open, server: Server) -> None:
    visit = await open_page(server)
    await visit.task("ocr")
    assert not await visit.page.is_visible("#pages")
    await visit.choose(LETTER)
    await visit.page.fill("#pages", "1")
    answer = done(await visit.ask())
    assert [image["page"] for image in answer["images"]] == [1]
    assert answer["warnings"]
    assert squeezed(await visit.body()) == squeezed(answer["text"])
    assert answer["warnings"][0] in await visit.page.locator(".warnings").inner_text()
    await visit.page.fill("#pages", "")
    answer = done(await visit.ask())
    titles = visit.page.locator(".card >> nth=0 >> .part-title")
    assert await titles.all_inner_texts() == ["Page 1", "Page 2"]
    assert await visit.view("text") == answer["text"]


async def test_ocr_as_lines_draws_boxes(open_page: Open, server: Server) -> None:
    visit = await open_page(server, locale="ko-KR")
    await visit.task("ocr")
    await visit.page.select_option("#format", "json")
    await visit.choose(RECEIPT)
    answer = done(await visit.ask())
    lines = answer["data"]["lines"]
    shown = visit.page.locator(".card .mark-label")
    assert await shown.all_text_contents() == [line["text"] for line in lines]
    await boxes_are_where(visit, lines, (640, 855))
    await visit.page.locator(".mark").nth(2).hover()
    assert await visit.page.locator(".box.meant").count() == 1
    assert "| 행복마트 서초점 |" in await visit.view("markdown")


async def test_several_questions_on_one_picture(open_page: Open, server: Server) -> None:
    visit = await open_page(server, locale="ko-KR")
    await visit.choose(RECEIPT)
    await visit.task("vqa")
    await visit.page.fill("#questions textarea", "합계는 얼마인가요?")
    await visit.page.press("#questions textarea", "Enter")
    await visit.settled()
    assert "25,440" in await visit.body()
    await visit.page.fill("#questions textarea", "When was it?")
    await visit.page.click("#question-add")
    await visit.page.keyboard.type("What is the phone number?")
    answer = done(await visit.ask())
    assert [one["question"] for one in answer["answers"]] == [
        "When was it?",
        "What is the phone number?",
    ]
    body = squeezed(await visit.body())
    for one in answer["answers"]:
        assert f"{one['question']} {squeezed(one['text'])}" in body
    titles = await visit.page.locator(".card h3").all_inner_texts()
    assert titles == ["질문", "합계는 얼마인가요?"], "both are kept, the newest first"
    assert (await visit.view("markdown")).startswith("**When was it?**\n\n")


async def test_extract(open_page: Open, server: Server) -> None:
    visit = await open_page(server)
    await visit.choose(RECEIPT)
    await visit.task("extract")
    answer = done(await visit.ask())
    assert answer["data"]["total"] == 25440
    terms = await visit.page.locator(".body > dl > div > dt").all_inner_texts()
    assert terms == list(answer["data"])
    names = await visit.page.locator(".body td:first-child").all_inner_texts()
    assert names == [item["name"] for item in answer["data"]["items"]]
    assert json.loads(await visit.view("text")) == answer["data"]
    await visit.page.fill("#schema", "{")
    await visit.send()
    assert "not valid JSON" in await visit.page.locator("#fault").inner_text()
    assert await visit.page.get_attribute("#schema", "aria-invalid") == "true"
    assert await visit.page.evaluate("document.activeElement.id") == "schema"


@pytest.mark.parametrize("orientation", [1, 6, 8])
async def test_detect_draws_boxes_also_on_phone_photos(
    open_page: Open, server: Server, orientation: int
) -> None:
    """The picture lies on its side, as phones write it; browser and server both turn it."""
    upright = (812, 612)
    photo = Image.new("RGB", upright, (120, 130, 140))
    with Image.open(PERSON) as person:  # at no middle and in no symmetry
        photo.paste(person, (220, 70))
    lying = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    turned = photo.transpose(lying[orientation]) if orientation in lying else photo
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(turned, quality=95, exif=exif)
    visit = await open_page(server, width=360 if orientation == 8 else 1440)
    await visit.choose({"name": "phone.jpg", "mimeType": "image/jpeg", "buffer": data})
    await visit.task("detect")
    await visit.page.fill("#labels", "person, 강아지")
    answer = done(await visit.ask())
    assert [one["label"] for one in answer["objects"]] == ["person"]
    assert (answer["images"][0]["width"], answer["images"][0]["height"]) == upright
    await boxes_are_where(visit, answer["objects"], upright)
    assert await visit.page.locator(".tag").all_inner_texts() == ["person"]
    assert await visit.page.locator(".why").count() == 0
    await visit.check(f"detect-exif-{orientation}")


async def boxes_are_where(visit: Visit, found: list[dict[str, Any]], size: tuple[int, int]) -> None:
    """Each box lies over the picture as its pixels say, within 1.5 pixels of the screen."""
    frame = await visit.page.locator(".frame img").bounding_box()
    assert frame is not None
    boxes = await visit.page.locator(".box").all()
    assert len(boxes) == len(found) > 0
    for box, one in zip(boxes, found, strict=True):
        shown = await box.bounding_box()
        assert shown is not None
        left, top, right, bottom = one["box"]
        across, down = frame["width"] / size[0], frame["height"] / size[1]
        wanted = {
            "x": frame["x"] + left * across,
            "y": frame["y"] + top * down,
            "width": (right - left) * across,
            "height": (bottom - top) * down,
        }
        assert shown == pytest.approx(wanted, abs=1.5)


async def test_for_a_pdf_it_says_why_no_box_is_drawn(open_page: Open, server: Server) -> None:
    visit = await open_page(server)
    await visit.choose(LETTER)
    await visit.task("ocr")
    await visit.page.select_option("#format", "json")
    await visit.page.fill("#pages", "1")
    answer = done(await visit.ask())
    assert answer["data"]["lines"][0]["box"]
    assert await visit.page.locator(".box").count() == 0
    assert "PDF pages are not displayed" in await visit.page.locator(".why").inner_text()


async def test_what_the_browser_cannot_show_is_read(open_page: Open, server: Server) -> None:
    with Image.open(RECEIPT) as receipt:
        tiff = encoded(receipt, "TIFF", compression="tiff_lzw")
    visit = await open_page(server)
    await visit.choose(
        {"name": "scan.tif", "mimeType": "image/tiff", "buffer": tiff},
        PHOTO,
    )
    assert "cannot display this TIF" in await visit.page.locator(".placeholder").inner_text()
    await visit.task("ocr")
    await visit.page.select_option("#format", "json")
    answer = done(await visit.ask())
    assert "행복마트" in answer["text"]
    assert "cannot display this TIF" in await visit.page.locator(".why").inner_text()


async def test_copy_download_and_curl(open_page: Open, server: Server) -> None:
    visit = await open_page(server)
    await visit.choose(RECEIPT)
    await visit.task("ocr")
    answer = done(await visit.ask())
    endings = {"text": "txt", "markdown": "md", "json": "json", "curl": "sh"}
    for name, ending in endings.items():
        shown = await visit.view(name)
        await visit.page.click(f".card [data-view={name}]")
        await visit.page.click(".card .copy")
        await visit.page.wait_for_function(
            "() => document.querySelector('.copy').innerText.trim() === 'Copied'"
        )
        copied = await visit.page.evaluate("navigator.clipboard.readText()")
        assert squeezed(copied) == squeezed(shown)
        async with visit.page.expect_download() as saving:
            await visit.page.click(".card .download")
        saved = await saving.value
        assert saved.suggested_filename == f"receipt_ko-ocr.{ending}"
        text = (await saved.path()).read_text()
        assert text == shown
        if name == "json":
            assert json.loads(text) == answer


async def test_an_equal_request_is_told_to_be_cached(open_page: Open, server: Server) -> None:
    visit = await open_page(server)
    await visit.choose(RECEIPT)
    await visit.task("ocr")
    await visit.ask()
    answer = done(await visit.ask())
    assert answer["cached"] is True
    assert "Cached" in await visit.page.locator(".card >> nth=0 >> .state").inner_text()
    assert squeezed(await visit.body()) == squeezed(answer["text"])
