"""A visit to the page in a browser, that must not end with a complaint of the browser's."""

import mimetypes
import re
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, Request, Response

from tests.events import Event, sse
from tests.inference_server import REPO
from tests.web.environment import axe

SHOTS = REPO / ".cache" / "screenshots"
EXAMPLES = REPO / "examples"
PERSON = REPO / "tests" / "embedded" / "photos" / "person.jpg"
REFUSED = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")
NARROW, WIDE = 360, 1440


# The browser keeps no body that was read as a stream: what the page reads is noted on its way.
NOTE = """(() => {
  const read = ReadableStreamDefaultReader.prototype.read;
  ReadableStreamDefaultReader.prototype.read = async function () {
    const result = await read.call(this);
    if (result.value) window.wire = [...(window.wire ?? []), ...result.value];
    return result;
  };
})()"""
WIRE = "new TextDecoder().decode(Uint8Array.from(window.wire ?? []))"


class Visit:
    """One tab. `problems` is what the browser complained of: errors in the console (violations of
    the content security policy among them), exceptions, and requests to other hosts."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.problems: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        page.on("request", self._requested)

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def _requested(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", "blob:")):
            self.problems.append(f"another host: {request.url}")

    def forgive(self, *statuses: int) -> None:
        """The browser tells in the console of each refusal; those that were meant are no fault."""
        kept = []
        for problem in self.problems:
            found = REFUSED.match(problem)
            if not (found and int(found[1]) in statuses):
                kept.append(problem)
        self.problems = kept

    async def open(self) -> None:
        await self.page.goto(self.url)
        await self.page.wait_for_selector(".engine:not(.asking)")

    async def choose(self, *paths: Path | dict[str, Any]) -> None:
        """Choose files, as by the dialog."""
        before = await self.page.locator("#strip .remove").count()
        given: list[Any] = list(paths)  # Playwright does not mix files with what is one in memory
        for at, one in enumerate(given):
            if isinstance(one, Path):
                kind = mimetypes.guess_type(one)[0] or "application/octet-stream"
                given[at] = {"name": one.name, "mimeType": kind, "buffer": one.read_bytes()}
        await self.page.set_input_files("#files", given)
        await self.page.wait_for_function(
            "count => document.querySelectorAll('#strip .remove').length === count",
            arg=before + len(paths),
        )

    async def task(self, name: str) -> None:
        await self.page.check(f"[name=task][value={name}]", force=True)

    async def send(self) -> None:
        await self.page.click("#send")

    async def ask(self, settled: str = "done") -> list[Event]:
        """Send the form, wait for the end, and give the events that the server sent."""
        await self.page.evaluate("window.wire = []")
        async with self.page.expect_response(_is_task):
            await self.send()
        await self.settled(settled)
        return sse(await self.page.evaluate(WIRE))

    async def settled(self, state: str = "done") -> None:
        """The newest request is over, in this state."""
        await self.page.wait_for_selector(
            f".card:first-child:not(.running) .state.{state}", timeout=120_000
        )

    async def body(self) -> str:
        """The text that the newest answer shows."""
        return await self.page.locator(".card >> nth=0 >> .body").inner_text()

    async def view(self, name: str) -> str:
        """The newest answer in one of its forms."""
        await self.page.click(f".card >> nth=0 >> [data-view={name}]")
        shown = await self.page.locator(".card >> nth=0 >> .source").text_content()
        await self.page.click(".card >> nth=0 >> [data-view=answer]")
        return shown or ""

    async def shot(self, name: str) -> None:
        """Keep a picture of the whole page."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        await self.page.evaluate("scrollTo(0, 0)")
        await self.page.screenshot(path=SHOTS / f"{name}.png", full_page=True)

    async def check(self, name: str) -> None:
        """Nobody is shut out, and nothing sticks out: no serious finding of axe-core, no scrolling
        sideways. Keeps a picture."""
        await self.shot(name)
        if not await self.page.evaluate("'axe' in window"):
            await self.page.evaluate(axe())
        found = await self.page.evaluate("axe.run().then(result => result.violations)")
        worst = [
            (one["id"], one["nodes"][0]["html"][:200], one["nodes"][0]["failureSummary"])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert worst == [], f"{name}: {worst}"
        minor = [one["id"] for one in found]
        print(f"axe on {name}: {len(minor)} finding(s) {minor}, none serious")
        width = "[document.documentElement.scrollWidth, innerWidth]"
        seen, room = await self.page.evaluate(width)
        assert seen <= room, f"{name} scrolls sideways: {seen} > {room}"


async def visit(
    browser: Browser,
    url: str,
    *,
    width: int = WIDE,
    locale: str = "en-US",
    scheme: Any = "light",
) -> tuple[BrowserContext, Visit]:
    """A new tab of a new profile, on the open page."""
    phone = width < 600
    context = await browser.new_context(
        viewport={"width": width, "height": 780 if phone else 900},
        locale=locale,
        color_scheme=scheme,
        has_touch=phone,
        is_mobile=phone,
        device_scale_factor=2 if phone else 1,
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(60_000)
    await context.add_init_script(NOTE)
    made = Visit(await context.new_page(), url)
    await made.open()
    return context, made


def _is_task(response: Response) -> bool:
    return response.request.method == "POST" and "/v1/" in response.url
