"""Every view at both widths, in both languages, in both colours: kept as pictures, and open to all
(axe-core)."""

import pytest

from tests.inference_server import Server
from tests.web.conftest import Open
from tests.web.visit import EXAMPLES, NARROW, PERSON, WIDE

LOOKS = [
    (WIDE, "ko-KR", "light"),
    (WIDE, "en-US", "dark"),
    (NARROW, "ko-KR", "dark"),
    (NARROW, "en-US", "light"),
]


@pytest.mark.parametrize(("width", "locale", "scheme"), LOOKS)
async def test_views(open_page: Open, server: Server, width: int, locale: str, scheme: str) -> None:
    visit = await open_page(server, width=width, locale=locale, scheme=scheme)
    page, look = visit.page, f"{width}-{locale[:2]}-{scheme}"
    assert await page.evaluate("document.documentElement.lang") == locale[:2]
    await visit.check(f"empty-{look}")
    await page.click(".more summary")
    await page.click("#key-open")
    await visit.check(f"options-{look}")
    await page.click("#key-open")
    await page.click(".more summary")
    await visit.choose(PERSON, EXAMPLES / "receipt_ko.png", EXAMPLES / "letter.pdf")
    await visit.check(f"documents-{look}")
    await page.locator("#strip .remove").nth(2).click()
    await page.locator("#strip .remove").nth(1).click()
    await visit.task("detect")
    await page.fill("#labels", "person, 강아지")
    await visit.ask()
    await visit.check(f"detect-{look}")
    await page.locator("#strip .remove").nth(0).click()
    await visit.choose(EXAMPLES / "receipt_ko.png")
    await visit.task("extract")
    await visit.ask()
    await visit.check(f"extract-{look}")
    for name in ("markdown", "json", "curl"):
        await page.click(f".card >> nth=0 >> [data-view={name}]")
    await visit.check(f"curl-{look}")
    await visit.task("ocr")
    await page.select_option("#format", "json")
    await visit.ask()
    await visit.check(f"lines-{look}")
    await visit.task("vqa")
    await page.fill("#questions textarea", "합계는 얼마인가요?")
    await visit.ask()
    await visit.check(f"ask-{look}")


async def test_less_motion(open_page: Open, server: Server) -> None:
    visit = await open_page(server)
    await visit.page.emulate_media(reduced_motion="reduce")
    moving = """[...document.querySelectorAll("*")].filter((one) => {
      const style = getComputedStyle(one);
      return Math.max(...style.transitionDuration.split(",").map(parseFloat)) > 0.001;
    }).length"""
    assert await visit.page.evaluate(moving) == 0


async def test_colours_follow_the_system_until_one_is_chosen(
    open_page: Open, server: Server
) -> None:
    visit = await open_page(server, scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = await visit.page.evaluate(ground)
    await visit.page.emulate_media(color_scheme="light")
    light = await visit.page.evaluate(ground)
    assert dark != light
    await visit.page.click("#theme")  # from the system's to light
    await visit.page.click("#theme")  # to dark, whatever the system says
    assert await visit.page.evaluate(ground) == dark
