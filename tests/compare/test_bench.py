"""`python -m app bench` on real engines, and its page in a real browser."""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from tests.browser import chromium
from tests.fake_ollama.script import HANG, says
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import REPO, Server
from tests.ollama_daemon.process import Daemon

HOSTILE = "</pre><script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"
TRUTH = "합계 25,440원\n감사합니다\n"
SIZES = {"phone": (360, 740), "desk": (1440, 900)}


def command(server: Server, models: str, out: Path, *more: str) -> list[str]:
    words = [sys.executable, "-m", "app", "bench", "--server", server.url, "--models", models]
    return [*words, "--out", str(out), *more]


def bench(server: Server, models: str, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(server, models, out, *more),
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="module")
def compared(on_daemon: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two models that are there and one that is not."""
    folder = tmp_path_factory.mktemp("compared")
    done = bench(on_daemon, "tiny-vlm,tiny-think,qwen3-vl:235b", folder / "page.html")
    assert done.returncode == 1, done.stderr  # one of them is not there
    assert "ollama pull qwen3-vl:235b" in done.stderr
    assert done.stdout.split() == [str(folder / "page.html"), str(folder / "page.json")]
    return folder / "page.html"


def test_two_models_of_a_real_daemon(compared: Path, daemon: Daemon) -> None:
    told = json.loads(compared.with_suffix(".json").read_text())
    assert told["engine"] == f"Ollama API {daemon.version}" and told["whole"]
    first, second, missing = told["models"]
    assert "ollama pull qwen3-vl:235b" in missing["problem"]
    for one in (first, second):
        assert one["vram_ratio"] == 0  # there is no GPU
        assert one["num_ctx"] == 4096 and len(one["digest"]) == 64
        assert one["first_request_s"] > one["load_s"] > 0
        assert [q["task"] for q in one["questions"]] == ["describe", "ocr", "ocr", "vqa", "vqa"]
        for question in one["questions"]:
            assert len(question["runs"]) == 3
            assert all(0 < run["first_s"] <= run["total_s"] for run in question["runs"])
            assert all(run["tokens_per_second"] > 0 for run in question["runs"])
        assert one["median"]["cer"] > 0.5  # it cannot read
    print({one["model"]: one["median"] for one in (first, second)})


def test_a_reading_engine_makes_no_mistakes(on_embedded: Server, tmp_path: Path) -> None:
    """The embedded engine on the Korean receipt, beside which lies its truth."""
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("receipt_ko.png", "receipt_ko.txt"):
        shutil.copy(REPO / "examples" / name, mine)
    more = ["--images", str(mine), "--no-examples", "--repeat", "1"]
    done = bench(on_embedded, "embedded", tmp_path / "page.html", *more)
    assert done.returncode == 0, done.stderr
    (one,) = json.loads((tmp_path / "page.json").read_text())["models"]
    assert (one["median"]["cer"], one["median"]["wer"]) == (0, 0)


@pytest.fixture(scope="module")
def fake_ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as fake_ollama:
        yield fake_ollama


@pytest.fixture(scope="module")
def on_fake_ollama(
    fake_ollama: FakeOllama, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("bench") / "log"
    with Server(log, OLLAMA_HOST=fake_ollama.url, MODEL_NAME="fake-vlm") as server:
        yield server


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder with a picture and its truth."""
    folder = tmp_path / "mine"
    folder.mkdir()
    Image.new("RGB", (200, 100), "white").save(folder / "long.name.with_no_spaces_at_all.png")
    (folder / "long.name.with_no_spaces_at_all.txt").write_text(TRUTH)
    return folder


def test_what_was_measured_is_kept_when_it_is_stopped(
    on_fake_ollama: Server, fake_ollama: FakeOllama, mine: Path, tmp_path: Path
) -> None:
    fake_ollama.reset()
    fake_ollama.chosen = lambda body: HANG if "think" in body["model"] else says(TRUTH)
    more = ["--images", str(mine), "--no-examples"]
    out = tmp_path / "page.html"
    running = subprocess.Popen(
        command(on_fake_ollama, "fake-vlm,fake-think", out, *more),
        cwd=REPO,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stderr
    assert running.stderr.readline() == "fake-vlm: done\n"
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 130
    assert "Stopped before the end" in said and "Traceback" not in said
    told = json.loads(out.with_suffix(".json").read_text())
    assert not told["whole"]
    assert told["models"][0]["median"]["cer"] == 0
    assert "The run was stopped early" in out.read_text()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--models", ","], "Name at least one model"),
        (["--models", "a", "--no-examples"], "Nothing to ask"),
        (["--models", "a", "--question", "What?"], "--images"),
        (["--models", "a", "--images", "/nowhere"], "is not a folder"),
        (["--models", "a", "--out", "/nowhere/page.html"], "cannot be written"),
        (["--models", "a", "--server", "127.0.0.1:9"], "./run_server.sh"),
    ],
)
def test_mistakes_are_told_before_anything_is_asked(more: list[str], says: str) -> None:
    words = [sys.executable, "-m", "app", "bench", *more]
    done = subprocess.run(words, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert says in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def looked_at(browser: Browser, page: Path, size: str, shot: str) -> Page:
    """The page from its file, cut off from any network; a complaint of the browser is an error."""
    width, height = SIZES[size]
    opened = browser.new_page(viewport={"width": width, "height": height})
    opened.context.set_offline(True)
    complaints: list[str] = []
    opened.on("console", lambda told: complaints.append(told.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda one: complaints.extend([one.url] * one.url.startswith("http")))
    opened.goto(page.as_uri())
    opened.screenshot(path=page.with_name(f"{shot}-{size}.png"), full_page=True)
    print(page.with_name(f"{shot}-{size}.png"))
    assert complaints == []
    return opened


@pytest.mark.parametrize("size", SIZES)
def test_it_is_readable_at_any_width(compared: Path, browser: Browser, size: str) -> None:
    page = looked_at(browser, compared, size, "two")
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]
    for box in page.locator("article, .summary td, img").all():
        place = box.bounding_box()
        assert place is None or (place["x"] >= 0 and place["x"] + place["width"] <= SIZES[size][0])
    smallest = page.evaluate(
        "Math.min(...[...document.querySelectorAll('body *')]"
        ".map(one => parseFloat(getComputedStyle(one).fontSize)))"
    )
    assert smallest >= 13
    first, second = (one.bounding_box() for one in page.locator("article").all()[:2])
    assert first and second
    beside = first["y"] == second["y"]
    assert beside == (size == "desk")  # side by side, or one above the other
    assert page.locator("img").first.evaluate("one => one.naturalWidth") > 100
    page.close()


def test_it_speaks_both_languages_without_a_script(compared: Path, browser: Browser) -> None:
    assert "<script" not in compared.read_text()
    page = looked_at(browser, compared, "phone", "language")
    assert page.get_by_text("Summary").is_visible()
    assert not page.get_by_text("요약").is_visible()
    page.get_by_label("한국어").check()
    assert page.get_by_text("요약").is_visible()
    assert not page.get_by_text("Summary").is_visible()
    # Every label stands in both.
    both = page.evaluate(
        "['en', 'ko'].map(tag => document.querySelectorAll(`body [lang=${tag}]`).length)"
    )
    assert both[0] == both[1] > 30
    page.close()


def test_answers_do_nothing(
    on_fake_ollama: Server, fake_ollama: FakeOllama, mine: Path, tmp_path: Path, browser: Browser
) -> None:
    """What a model says may look like HTML, and be long."""
    fake_ollama.reset()
    fake_ollama.chosen = lambda _: says(f"{HOSTILE} 합계 25,440원 {'x' * 300}")
    models = "fake-vlm,fake-think"
    out = tmp_path / "page.html"
    done = bench(
        on_fake_ollama, models, out, "--images", str(mine), "--no-examples", "--repeat", "2"
    )
    assert done.returncode == 0, done.stderr
    page = looked_at(browser, out, "phone", "hostile")
    assert page.title() == "Model comparison: fake-vlm, fake-think"
    shown = page.locator("article pre").first.evaluate(
        "one => [...one.childNodes].filter(node => node.nodeName != 'DEL')"
        ".map(node => node.textContent).join('')"
    )
    assert shown == f"{HOSTILE} 합계 25,440원 {'x' * 300}"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator("article img, script").count() == 0
    page.close()


def test_the_page_asks_nobody(compared: Path) -> None:
    html = compared.read_text()
    assert set(re.findall(r"\b(?:src|href|action)=.{12}", html)) == {'src="data:image/'}
    assert not re.search(r"<[^>]*\son\w+\s*=", html)
    assert not re.search(r"url\(|@import", html)
