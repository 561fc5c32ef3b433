"""How a picture gets in, and how the page is used without a mouse."""

import base64

from tests.inference_server import Server
from tests.web.conftest import Open
from tests.web.visit import EXAMPLES, PERSON, Visit

PHOTO = EXAMPLES / "photo.jpg"
GIVE = """([kind, files]) => {
  const data = new DataTransfer();
  const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  for (const [name, type, text] of files) data.items.add(new File([bytes(text)], name, { type }));
  if (kind === "paste") {
    dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
    return null;
  }
  const stage = document.getElementById("stage");
  const all = { dataTransfer: data, bubbles: true, cancelable: true };
  const made = (name) => new DragEvent(name, all);
  stage.dispatchEvent(made("dragenter"));
  const shown = document.body.classList.contains("dropping");
  const taken = !stage.dispatchEvent(made("dragover"));
  stage.dispatchEvent(made("drop"));
  return [shown, taken, document.body.classList.contains("dropping")];
}"""


async def names(visit: Visit) -> list[str]:
    shown = await visit.page.locator("#strip .remove").all()
    return [str(await one.get_attribute("aria-label")).removeprefix("Remove ") for one in shown]


async def test_drop_and_paste(open_page: Open, server: Server) -> None:
    visit = await open_page(server)
    data = {path: base64.b64encode(path.read_bytes()).decode() for path in (PHOTO, PERSON)}
    two = [["a.jpg", "image/jpeg", data[PHOTO]], ["b.jpg", "image/jpeg", data[PERSON]]]
    assert await visit.page.evaluate(GIVE, ["drop", two]) == [True, True, False]
    await visit.page.wait_for_selector("#strip .remove >> nth=1")
    await visit.page.evaluate(GIVE, ["paste", [["image.jpg", "image/jpeg", data[PHOTO]]]])
    await visit.page.wait_for_selector("#strip .remove >> nth=2")
    assert await names(visit) == ["a.jpg", "b.jpg", "image.jpg"]
    assert "image.jpg" in await visit.page.locator("#caption").inner_text()
    await visit.page.click("[aria-label='Show b.jpg']")
    assert "b.jpg" in await visit.page.locator("#caption").inner_text()
    await visit.page.click("[aria-label='Remove b.jpg']")
    assert await names(visit) == ["a.jpg", "image.jpg"]
    assert await visit.page.evaluate("document.activeElement.ariaLabel") == "Show image.jpg"
    events = await visit.ask()
    assert [image["index"] for image in events[-1][1]["images"]] == [0, 1]


async def test_empty_files_are_refused(open_page: Open, server: Server) -> None:
    visit = await open_page(server)
    await visit.page.set_input_files(
        "#files", {"name": "nothing.png", "mimeType": "image/png", "buffer": b""}
    )
    await visit.page.wait_for_function("() => document.querySelector('#fault').textContent")
    assert await visit.page.locator("#fault").inner_text() == "nothing.png is empty."
    assert await visit.page.is_visible("#empty")


async def test_a_phone_takes_a_picture(open_page: Open, server: Server) -> None:
    wide = await open_page(server)
    assert not await wide.page.is_visible("#take"), "a desk has no camera that a file input opens"
    visit = await open_page(server, width=360)
    assert await visit.page.get_attribute("#camera", "capture") == "environment"
    async with visit.page.expect_file_chooser() as opened:
        await visit.page.tap("#take")
    chooser = await opened.value
    assert not chooser.is_multiple()
    await chooser.set_files(PHOTO)
    await visit.page.wait_for_selector("#shown:not([hidden])")


async def test_by_keyboard_alone(open_page: Open, server: Server) -> None:
    visit = await open_page(server)
    page = visit.page
    order = []
    for _ in range(8):
        await page.keyboard.press("Tab")
        order.append(
            await page.evaluate("document.activeElement.id || document.activeElement.value || ''")
        )
        ring = "getComputedStyle(document.activeElement.closest('label, .task') ?? document.body)"
        outline = await page.evaluate(
            f"[getComputedStyle(document.activeElement).outlineStyle, {ring}.outlineStyle]"
        )
        assert "solid" in outline, f"{order[-1]} shows no focus"
    await page.keyboard.press("Tab")
    order.append(await page.evaluate("document.activeElement.tagName"))
    assert order == [
        *("language", "theme", "key-open", "choose", "describe", "style", ""),
        *("send", "BODY"),
    ]
    async with page.expect_file_chooser() as opened:
        await page.focus("#choose")
        await page.keyboard.press("Enter")
    await (await opened.value).set_files(EXAMPLES / "receipt_ko.png")
    await page.wait_for_selector("#shown:not([hidden])")
    await page.focus("[name=task]:checked")
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowRight")
    assert await page.is_checked("[value=vqa]")
    await page.keyboard.press("Tab")
    await page.keyboard.type("What is the total?")
    await page.keyboard.press("Enter")
    await visit.settled()
    assert "25,440" in await visit.body()
    assert await page.evaluate("document.activeElement.tagName") == "TEXTAREA", "for the next one"
    await page.keyboard.type("And the date?")
    await page.keyboard.press("Control+Enter")
    await page.wait_for_selector(".card >> nth=1")
    await visit.settled()
    assert "2026-03-17" in await visit.body()
