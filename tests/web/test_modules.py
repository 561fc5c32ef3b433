"""The page's own parts, in the browser: the stream, Markdown, the curl line."""

import asyncio
import base64
import json
import random
import shlex
import shutil
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from typing import Any

import pytest

from tests.fake_ollama.script import says
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import Server
from tests.web.conftest import Open
from tests.web.visit import EXAMPLES, Visit

PARSE = """async ([pieces]) => {
  const { events } = await import("/web/sse.js");
  const bytes = pieces.map((piece) => Uint8Array.from(atob(piece), (one) => one.charCodeAt(0)));
  const body = new ReadableStream({
    start(out) { for (const piece of bytes) out.enqueue(piece); out.close(); },
  });
  const found = [];
  for await (const one of events(body)) found.push([one.event, one.data]);
  return found;
}"""
MARKDOWN = """async ([text, pieces]) => {
  const { paint } = await import("/web/markdown.js");
  const element = document.createElement("div");
  document.body.append(element);
  for (let end = 1; end < pieces; end += 1) {
    paint(element, text.slice(0, Math.floor((end * text.length) / pieces)));
  }
  paint(element, text);
  const found = element.innerHTML;
  element.remove();
  return found;
}"""
STREAM = (
    "\ufeffevent: start\ndata: {}\n\n: waiting\n\n"
    "event: delta\r\ndata: 가나\r\ndata:  다\r\n\r\n"
    "data: bare\rid: 7\r\revent: none\n\nretry: 1\nevent\ndata\n\nevent: cut\ndata: lost"
)
EVENTS = [["start", "{}"], ["delta", "가나\n 다"], ["message", "bare"], ["message", ""]]


async def test_events_whatever_pieces_they_come_in(open_page: Open, server: Server) -> None:
    visit = await open_page(server)
    data = STREAM.encode()
    draw = random.Random(8)
    for least in (1, len(data), *([2] * 20)):
        cuts, pieces = 0, []
        while cuts < len(data):
            step = least if least != 2 else draw.randint(1, 12)
            pieces.append(base64.b64encode(data[cuts : cuts + step]).decode())
            cuts += step
        assert await visit.page.evaluate(PARSE, [pieces]) == EVENTS


SAMPLES = {
    "**a** *b* ~~c~~ `d*e*`": (
        "<p><strong>a</strong> <em>b</em> <del>c</del> <code>d*e*</code></p>"
    ),
    "# One\n\ntext\nmore": "<h4>One</h4><p>text<br>more</p>",
    "snake_case_name and 2 * 3 * 4": "<p>snake_case_name and 2 * 3 * 4</p>",
    "- a\n  - b\n- c": "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>",
    "3. x\n4. y": '<ol start="3"><li>x</li><li>y</li></ol>',
    "| a | b |\n|---|--:|\n| 1 | 2 |": (
        '<div class="scroll" tabindex="0"><table>'
        '<thead><tr><th class="start">a</th><th class="end">b</th></tr></thead>'
        '<tbody><tr><td class="start">1</td><td class="end">2</td></tr></tbody>'
        "</table></div>"
    ),
    "```html\n<b>x</b>\n```": '<pre tabindex="0"><code>&lt;b&gt;x&lt;/b&gt;</code></pre>',
    "> a\n> b": "<blockquote><p>a<br>b</p></blockquote>",
    "[x](https://a.test/b)": (
        '<p><a href="https://a.test/b" target="_blank" rel="noopener noreferrer nofollow">x</a></p>'
    ),
    "[x](javascript:alert(1))": "<p>[x](javascript:alert(1))</p>",
    "[x](data:text/html,y)": "<p>x (data:text/html,y)</p>",
    "![cat](https://a.test/b.png)": "<p>cat</p>",
    "<img src=x onerror=alert(1)>": "<p>&lt;img src=x onerror=alert(1)&gt;</p>",
    "\\*not\\* **open": "<p>*not* **open</p>",
}


async def test_markdown_becomes_elements_and_nothing_else(open_page: Open, server: Server) -> None:
    visit = await open_page(server)
    for text, wanted in SAMPLES.items():
        for pieces in (1, len(text)):
            assert await visit.page.evaluate(MARKDOWN, [text, pieces]) == wanted, text


async def test_hostile_markdown_ends_soon(open_page: Open, server: Server) -> None:
    visit = await open_page(server)
    hostile = ("*" * 8000, "[" * 8000, "`a" * 4000, "| " * 4000 + "\n|-", "> " * 4000, "- " * 4000)
    for text in hostile:
        took = await visit.page.evaluate(
            f"async (text) => {{ const began = performance.now(); await ({MARKDOWN})([text, 1]); "
            "return performance.now() - began; }",
            text,
        )
        assert took < 5000, text[:8]


async def test_an_answer_never_becomes_html(
    open_page: Open, on_fake_ollama: Server, fake_ollama: FakeOllama
) -> None:
    evil = (
        "<img src=//evil.test/x onerror=\"document.title='gone'\"><script>alert(1)</script> **b**"
    )
    fake_ollama.play(says(evil))
    visit = await open_page(on_fake_ollama)
    await visit.choose(EXAMPLES / "photo.jpg")
    await visit.ask()
    assert await visit.page.locator(".body strong").inner_text() == "b"
    assert await visit.page.locator(".body img, .body script").count() == 0
    assert "<img src=//evil.test/x" in await visit.body()
    assert await visit.page.title() == "Qwen3-VL"


ODD = [
    'it\'s "odd" $HOME `id` \\ & 100% !x',
    "@/etc/passwd",
    "</etc/passwd",
    "a; b; type=text/html",
    "합계는 얼마인가요?\n그리고 날짜는?",
    "--help",
]


async def curl_of(visit: Visit) -> str:
    line = await visit.view("curl")
    assert line.startswith("curl -N http://127.0.0.1:")
    return line


async def test_the_curl_line_asks_the_same(
    open_page: Open, on_fake_ollama: Server, fake_ollama: FakeOllama, tmp_path: Path
) -> None:
    """Run by a shell, it has the server ask the engine for what the page had it ask."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed, so its line is not run")
    name = """it's a "red"; photo, $1.jpg"""
    (tmp_path / name).write_bytes((EXAMPLES / "photo.jpg").read_bytes())
    visit = await open_page(on_fake_ollama)
    await visit.choose(tmp_path / name)
    await visit.task("vqa")
    for number, text in enumerate(ODD):
        if number:
            await visit.page.click("#question-add")
        await visit.page.locator("#questions textarea").nth(number).fill(text)
    await visit.page.click(".more summary")
    await visit.page.fill("#prompt", ODD[0])
    await visit.page.select_option("#detail", "low")
    fake_ollama.asked.clear()
    await visit.ask()
    by_page = list(fake_ollama.asked)
    line = await curl_of(visit)
    fake_ollama.asked.clear()
    command = line.replace("curl -N", "curl -sSN --noproxy '*' -H 'Cache-Control: no-store'", 1)
    ran = await asyncio.create_subprocess_exec(
        *("bash", "-c", command), cwd=tmp_path, stdout=PIPE, stderr=STDOUT
    )
    printed = (await ran.communicate())[0].decode()
    assert ran.returncode == 0 and "event: done" in printed, printed
    assert len(fake_ollama.asked) == len(by_page) == len(ODD)
    assert list(map(plain, fake_ollama.asked)) == list(map(plain, by_page))


def plain(body: dict[str, Any]) -> str:
    """A form's lines end with CR LF (RFC 7578), those of a shell's word do not."""
    return json.dumps(body, ensure_ascii=False).replace("\\r\\n", "\\n")


async def test_the_key_stays_out_of_the_curl_line(
    open_page: Open, embedded: str, tmp_path: Path
) -> None:
    with Server(
        tmp_path / "log", OLLAMA_HOST=embedded, MODEL_NAME="embedded", API_KEYS="one-secret"
    ) as locked:
        visit = await open_page(locked)
        assert await visit.page.is_visible("#key-panel"), "it is asked for at once"
        assert "API key required" in await visit.page.locator("#engine").inner_text()
        await visit.choose(EXAMPLES / "receipt_ko.png")
        await visit.task("ocr")
        await visit.send()
        await visit.settled("failed")
        assert "Authorization: Bearer KEY" in await visit.page.locator(".trouble").inner_text()
        assert await visit.page.evaluate("document.activeElement.id") == "key"
        await visit.check("key-wanted")
        await visit.page.fill("#key", "wrong")
        await visit.page.press("#key", "Enter")
        await visit.page.wait_for_selector("#key-panel:not([hidden]) >> text=did not accept")
        await visit.page.fill("#key", "one-secret")
        await visit.page.press("#key", "Enter")  # and what was refused is sent again by itself
        await visit.settled("done")
        assert "행복마트" in await visit.body()
        assert await visit.page.locator(".card").count() == 1
        await visit.page.wait_for_selector(".engine.ready")
        line = await curl_of(visit)
        assert "one-secret" not in line
        assert '-H "Authorization: Bearer $API_KEY"' in line
        assert shlex.split(line)[-2:] == ["-F", "stream=true"]
        kept = (
            "[sessionStorage.getItem('key'), JSON.stringify(localStorage).includes('one-secret')]"
        )
        assert await visit.page.evaluate(kept) == ['"one-secret"', False]
        await visit.page.reload()
        await visit.page.wait_for_selector(".engine.ready")
        assert not await visit.page.is_visible("#key-panel")
        visit.forgive(401)
