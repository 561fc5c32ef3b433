"""The files of the page: how they are served, and what must not be in them."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.routes.static import ASSETS, WEB_DIR
from tests.inference_server import Server

WORDS = re.compile(r'^  "([^"]+)": ', re.MULTILINE)
SCRIPTS = sorted(WEB_DIR.glob("*.js"))
HTML_MAKERS = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "srcdoc")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Without a key, of a server that wants one and has no engine behind it."""
    log = tmp_path_factory.mktemp("assets") / "log"
    with (
        Server(log, OLLAMA_HOST="127.0.0.1:9", API_KEYS="one-secret") as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        yield client


@pytest.mark.parametrize("name", ["", *(f"web/{name}" for name in ASSETS)])
def test_each_file_is_served_without_a_key(client: httpx.Client, name: str) -> None:
    response = client.get(f"/{name}")
    assert response.status_code == 200
    assert response.content == (WEB_DIR / (name.removeprefix("web/") or "index.html")).read_bytes()
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy and "http" not in policy and "*" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    again = client.get(f"/{name}", headers={"If-None-Match": f'W/"x", {response.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(f"/{name}", headers={"If-None-Match": '"x"'}).status_code == 200
    head = client.head(f"/{name}")
    assert (head.status_code, head.headers["etag"]) == (200, response.headers["etag"])


def test_types(client: httpx.Client) -> None:
    told = {path: client.get(path).headers["content-type"] for path in ("/", "/web/main.js")}
    told["css"] = client.get("/web/style.css").headers["content-type"]
    told["svg"] = client.get("/web/icon.svg").headers["content-type"]
    assert list(told.values()) == [
        "text/html; charset=utf-8",
        "text/javascript; charset=utf-8",
        "text/css; charset=utf-8",
        "image/svg+xml",
    ]


@pytest.mark.parametrize(
    "path",
    ["/web/none.js", "/web/", "/web/%2e%2e/main.py", "/web/..%2fmain.py", "/web/main.js/x"],
)
def test_nothing_else_is_there(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


def test_the_policy_is_the_pages_alone(client: httpx.Client) -> None:
    for path in ("/docs", "/health", "/v1/status"):
        assert "content-security-policy" not in client.get(path).headers
    assert client.get("/v1/status").status_code == 401
    assert "/web/{name}" not in client.get("/openapi.json").json()["paths"]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_script_makes_html(path: Path) -> None:
    text = path.read_text()
    assert [maker for maker in HTML_MAKERS if maker in text] == []
    assert len(text.splitlines()) < 300


def test_the_page_itself_has_no_inline_code() -> None:
    text = (WEB_DIR / "index.html").read_text()
    assert re.findall(r"\son\w+=|\sstyle=|<style|javascript:|<script(?![^>]*src=)", text) == []
    assert set(re.findall(r'(?:src|href)="([^"#]+)"', text)) == {
        "/web/icon.svg",
        "/web/style.css",
        "/web/theme.js",
        "/web/main.js",
        "/docs",
    }


def test_both_languages_say_the_same_things() -> None:
    english, korean = ((WEB_DIR / name).read_text() for name in ("en.js", "ko.js"))
    assert WORDS.findall(english) == WORDS.findall(korean)
    for one, other in zip(
        re.findall(r'": (".*"),', english), re.findall(r'": (".*"),', korean), strict=True
    ):
        assert set(re.findall(r"\{\w+\}", one)) == set(re.findall(r"\{\w+\}", other)), one


def test_every_sentence_exists_and_is_used() -> None:
    known = set(WORDS.findall((WEB_DIR / "en.js").read_text()))
    others = [path.read_text() for path in WEB_DIR.iterdir() if path.name not in ("en.js", "ko.js")]
    text = "\n".join(others)
    named = set(re.findall(r'data-t(?:-label|-placeholder)?="([\w.]+)"', text))
    named |= set(re.findall(r'\bt\("([\w.]+)"', text))
    assert named - known == set()
    made = re.findall(r"`([\w.]+\.)\$\{", text)  # of a name: t(`task.${name}`)
    quoted = set(re.findall(r'"([\w.]+)"', text))
    unused = {key for key in known - named - quoted if not key.startswith(tuple(made))}
    assert unused == set()
