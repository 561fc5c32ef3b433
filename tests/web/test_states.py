"""What can come between a question and its answer: waiting, stopping, errors, a reload."""

import asyncio
import base64
import time
from pathlib import Path

import httpx
import pytest

from tests.fake_ollama.script import begins, says
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import Server
from tests.ollama_daemon.process import Daemon
from tests.polling import HANG_S
from tests.web.conftest import Open
from tests.web.test_tasks import done, squeezed
from tests.web.visit import EXAMPLES, Visit

PHOTO = EXAMPLES / "photo.jpg"
TEXT = "One two three four five six seven eight nine ten. "
WATCH = """() => {
  window.said = [];
  const live = document.getElementById("live");
  const all = { childList: true, characterData: true, subtree: true };
  new MutationObserver(() => window.said.push(live.textContent)).observe(live, all);
}"""


@pytest.mark.parametrize("task", ["describe", "ocr", "vqa"])
async def test_on_the_real_daemon(
    open_page: Open, on_daemon: Server, daemon: Daemon, task: str
) -> None:
    visit = await open_page(on_daemon)
    await visit.choose(PHOTO)
    await visit.task(task)
    if task == "vqa":
        await visit.page.fill("#questions textarea", "What is it?")
    answer = done(await visit.ask())
    assert answer["model"].startswith("tiny-vlm") and answer["text"].strip()
    assert squeezed(await visit.body()) == squeezed(answer["text"])


async def test_stop_frees_the_model(open_page: Open, on_daemon: Server, daemon: Daemon) -> None:
    visit = await open_page(on_daemon)
    await slow(visit)
    mark = daemon.mark()
    await visit.send()
    await visit.page.wait_for_selector(".state.answering")
    assert await visit.page.locator("#send").get_attribute("aria-disabled") == "true"
    assert daemon.since(mark).of("/api/chat") == [], "it was over too soon to tell"
    await visit.page.click("#stop")
    left = time.monotonic()
    daemon.wait_for_requests(mark, "/api/chat")
    print(f"stopped: the daemon was free after {(time.monotonic() - left) * 1e3:.0f} ms")
    await visit.settled("stopped")
    assert await visit.body(), "what came so far stays"
    assert await visit.page.evaluate("document.activeElement.id") == "send"
    assert "cut off here" in await visit.page.locator(".notes").inner_text()
    await visit.check("stopped")


async def test_waiting_is_told_and_can_be_stopped(
    open_page: Open, on_daemon: Server, daemon: Daemon
) -> None:
    visit = await open_page(on_daemon, width=360, locale="ko-KR")
    await slow(visit)
    async with httpx.AsyncClient(base_url=on_daemon.url, trust_env=False) as client:
        image = base64.b64encode(PHOTO.read_bytes()).decode()
        fields = {"image": image, "model": "slow-vlm", "max_tokens": 400, "stream": True}
        async with client.stream("POST", "/v1/describe", json=fields) as running:
            pieces = running.aiter_bytes()
            await anext(pieces)
            await visit.send()
            await visit.page.wait_for_selector(".state.queued")
            assert "대기열 1번째" in await visit.page.locator(".state").inner_text()
            await visit.check("queued-360-ko")
            await visit.page.click("#stop")
            await visit.settled("stopped")
            deadline = time.monotonic() + HANG_S
            while (await client.get("/v1/status")).json()["queue"]["waiting"]:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)


async def slow(visit: Visit) -> None:
    await visit.choose(PHOTO)
    await visit.page.click(".more summary")
    await visit.page.select_option("#model", "slow-vlm")


async def test_stop_while_sending(open_page: Open, server: Server) -> None:
    visit = await open_page(server)
    await visit.page.route("**/v1/describe", lambda _route: asyncio.sleep(0))  # never goes out
    await visit.choose(PHOTO)
    await visit.send()
    await visit.page.wait_for_selector(".state.sending")
    await visit.page.click("#stop")
    await visit.settled("stopped")
    await visit.page.unroute("**/v1/describe")
    await visit.page.click(".again")
    await visit.settled("done")


async def test_a_damaged_picture(open_page: Open, server: Server) -> None:
    visit = await open_page(server)
    broken = PHOTO.read_bytes()[:4000]
    await visit.choose({"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": broken})
    image = base64.b64encode(broken).decode()
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        told = (await client.post("/v1/describe", json={"image": image})).json()
    await visit.send()
    await visit.settled("failed")
    shown = await visit.page.locator(".trouble").inner_text()
    assert told["detail"] in shown and told["code"] in shown
    await visit.check("error")
    visit.forgive(told["status"])


async def test_no_engine(open_page: Open, tmp_path: Path) -> None:
    with Server(tmp_path / "log", OLLAMA_HOST="127.0.0.1:9") as alone:
        visit = await open_page(alone, width=360)
        async with httpx.AsyncClient(base_url=alone.url, trust_env=False) as client:
            status = (await client.get("/v1/status")).json()
        assert await visit.page.locator("#notice").inner_text() == status["problem"]["detail"]
        await visit.choose(PHOTO)
        await visit.send()
        await visit.settled("failed")
        shown = await visit.page.locator(".trouble").inner_text()
        assert "engine_unavailable" in shown and "127.0.0.1:9" in shown
        assert "Try again in" in shown
        await visit.check("no-engine-360")
        visit.forgive(503)


async def test_no_server(open_page: Open, server: Server) -> None:
    visit = await open_page(server)
    await visit.choose(PHOTO)
    await visit.page.route("**/v1/*", lambda route: route.abort("connectionrefused"))
    await visit.send()
    await visit.settled("failed")
    assert "cannot be reached" in await visit.page.locator(".trouble").inner_text()
    await visit.page.wait_for_selector(".engine.problem")
    assert {one.split(":")[1] for one in visit.problems} == {" net"}
    visit.problems.clear()


async def test_an_answer_that_breaks_off_keeps_its_text(
    open_page: Open, on_fake_ollama: Server, fake_ollama: FakeOllama
) -> None:
    fake_ollama.play(begins(TEXT))
    visit = await open_page(on_fake_ollama)
    await visit.choose(PHOTO)
    events = await visit.ask("failed")
    assert events[-1][0] == "error"
    assert squeezed(await visit.body()) == squeezed(events[-1][1]["partial"])
    assert events[-1][1]["detail"] in await visit.page.locator(".trouble").inner_text()
    assert await visit.view("curl")
    fake_ollama.play(says("All of it."))
    await visit.page.click(".again")
    await visit.settled("done")
    assert await visit.body() == "All of it."


async def test_nothing_is_sent_without_a_picture_or_a_question(
    open_page: Open, server: Server
) -> None:
    visit = await open_page(server)
    await visit.send()
    assert await visit.page.locator("#fault").inner_text() == "Choose an image first."
    assert await visit.page.evaluate("document.activeElement.id") == "choose"
    await visit.choose(PHOTO)
    await visit.task("vqa")
    await visit.send()
    assert await visit.page.locator("#fault").inner_text() == "Enter a question first."
    await visit.task("detect")
    await visit.send()
    assert "at least one object" in await visit.page.locator("#fault").inner_text()
    assert await visit.page.evaluate("document.activeElement.id") == "labels"
    assert await visit.page.locator(".card").count() == 0


async def test_thoughts_are_apart(
    open_page: Open, on_fake_ollama: Server, fake_ollama: FakeOllama
) -> None:
    fake_ollama.play(says("A house.", thoughts="Let me see."))
    visit = await open_page(on_fake_ollama)
    await visit.choose(PHOTO)
    await visit.page.click(".more summary")
    await visit.page.check("#think")
    await visit.page.select_option("#model", "fake-think")
    answer = done(await visit.ask())
    assert await visit.body() == answer["text"] == "A house."
    await visit.page.click(".thoughts summary")
    assert await visit.page.locator(".thoughts .verbatim").inner_text() == "Let me see."
    await visit.check("thoughts")


async def test_a_screen_reader_hears_states_not_words(
    open_page: Open, on_fake_ollama: Server, fake_ollama: FakeOllama
) -> None:
    fake_ollama.play(says(TEXT * 6, pace_s=0.01))
    visit = await open_page(on_fake_ollama)
    await visit.choose(PHOTO)
    await visit.page.evaluate(WATCH)
    await visit.send()
    await visit.page.wait_for_selector(".card[aria-busy=true] .state.answering")
    await visit.shot("answering")
    await visit.settled("done")
    said = await visit.page.evaluate("window.said")
    print(f"60 tokens, said: {said}")
    assert len(said) <= 4
    assert said[-1].startswith("The answer is complete. One two three")
    assert await visit.page.locator(".card").get_attribute("aria-busy") == "false"


async def test_a_reload_keeps_answers_and_choices(open_page: Open, server: Server) -> None:
    visit = await open_page(server, locale="ko-KR")
    await visit.choose(EXAMPLES / "receipt_ko.png")
    await visit.task("ocr")
    await visit.page.select_option("#format", "json")
    answer = done(await visit.ask())
    await visit.page.click("#language")
    await visit.page.click("#theme")
    await visit.page.click("#theme")
    await visit.page.reload()
    await visit.page.wait_for_selector(".engine.ready")
    assert await visit.page.evaluate("document.documentElement.lang") == "en"
    assert await visit.page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert await visit.page.is_checked("[name=task][value=ocr]")
    assert await visit.page.input_value("#format") == "json"
    lines = await visit.page.locator(".mark-label").all_text_contents()
    assert lines == [line["text"] for line in answer["data"]["lines"]]
    assert not await visit.page.is_visible("#shown"), "the picture itself is not kept"
    await visit.page.click("#clear")
    await visit.page.reload()
    await visit.page.wait_for_selector(".engine.ready")
    assert await visit.page.locator(".card").count() == 0


async def test_a_reload_while_it_answers_frees_the_model(
    open_page: Open, on_daemon: Server, daemon: Daemon
) -> None:
    visit = await open_page(on_daemon)
    await slow(visit)
    mark = daemon.mark()
    await visit.send()
    await visit.page.wait_for_selector(".state.answering")
    await visit.page.reload()
    daemon.wait_for_requests(mark, "/api/chat")
    await visit.settled("stopped")
    assert await visit.body(), "what came so far is kept, and said to be no more than that"


async def test_the_length_and_the_wait_are_shown(open_page: Open, on_daemon: Server) -> None:
    visit = await open_page(on_daemon)
    await visit.choose(PHOTO)
    await visit.page.click(".more summary")
    await visit.page.fill("#max-tokens", "3")
    answer = done(await visit.ask())
    assert answer["finish_reason"] == "length"
    assert "maximum length" in await visit.page.locator(".warnings").inner_text()
