"""Documents of several pages through the server: one text out of what a model says of each."""

import base64
import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.events import sse
from tests.fake_ollama.script import Script, says
from tests.fake_ollama.server import FakeOllama
from tests.images.files import pdf_of
from tests.inference_server import Server
from tests.pictures import encoded, scene, text_pdf

SCANS = {"image": ("scan.pdf", pdf_of(*[scene(64 * n, 64) for n in (1, 2, 3)]))}
MARKDOWN = [
    "```markdown\n행복마트\n\n# 재고\n\n| 품목 | 수량 |\n|---|---:|\n| 우유 | 2 |\n\n1 / 3 쪽\n```",
    "행복마트\n\n| 품목 | 수량 |\n|---|---:|\n| 라면 | 3 |\n\n2 / 3 쪽",
    "행복마트\n\n| 두부 | 1 |\n|---|---|\n\n$E = mc^2$ and\n\n$$\n\\frac{a}{b}\n$$\n\n"
    "- 끝\n\n3 / 3 쪽",
]
DOCUMENT = """행복마트

# 재고

| 품목 | 수량 |
|---|---:|
| 우유 | 2 |
| 라면 | 3 |
| 두부 | 1 |

$E = mc^2$ and

$$
\\frac{a}{b}
$$

- 끝"""
LEFT_OUT = (
    'image[0]: Repeated headers and footers were left out: "행복마트", page numbers ("1 / 3 쪽").'
)
RUNS_ON = "image[0]: Tables split by a page break were joined at the top of page(s) 2, 3."


@pytest.fixture(scope="module")
def _fake_ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as fake_ollama:
        yield fake_ollama


@pytest.fixture
def fake_ollama(_fake_ollama: FakeOllama) -> FakeOllama:
    _fake_ollama.reset()
    return _fake_ollama


def speaks(fake_ollama: FakeOllama, *pages: str) -> None:
    """Page by page of `SCANS`, in whatever order they come: each is as wide as its number."""

    def chosen(body: dict[str, Any]) -> Script:
        data = base64.b64decode(body["messages"][1]["images"][0])
        width, height = Image.open(io.BytesIO(data)).size
        return says(pages[round(width / height) - 1], pace_s=0.003)

    fake_ollama.chosen = chosen


@pytest.fixture(scope="module")
def scripted(
    _fake_ollama: FakeOllama, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    settings = {"OLLAMA_HOST": _fake_ollama.url, "MODEL_NAME": "fake-vlm"}
    log = tmp_path_factory.mktemp("scripted") / "server.log"
    with (
        Server(log, **settings) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=120) as client,
    ):
        yield client


def test_pages_become_one_document(scripted: httpx.Client, fake_ollama: FakeOllama) -> None:
    speaks(fake_ollama, *MARKDOWN)
    answer = scripted.post("/v1/ocr", files=SCANS, data={"format": "markdown"}).json()
    assert answer["text"] == DOCUMENT
    assert answer["warnings"] == [LEFT_OUT, RUNS_ON]
    pages = answer["data"]["pages"]
    assert [(one["image"], one["page"]) for one in pages] == [(0, 1), (0, 2), (0, 3)]
    whole = [text.removeprefix("```markdown\n").removesuffix("\n```") for text in MARKDOWN]
    assert [one["text"] for one in pages] == whole
    # Asked again, it comes from the cache, and is the same document.
    again = scripted.post("/v1/ocr", files=SCANS, data={"format": "markdown"}).json()
    assert again["cached"]
    assert {**again, "id": 0, "timings": 0, "cached": 0} == {
        **answer, "id": 0, "timings": 0, "cached": 0
    }  # fmt: skip


def test_a_stream_has_the_pages_and_then_the_document(
    scripted: httpx.Client, fake_ollama: FakeOllama
) -> None:
    speaks(fake_ollama, *MARKDOWN)
    data = {"format": "markdown", "stream": "true"}
    fresh = {"Cache-Control": "no-store"}
    events = sse(scripted.post("/v1/ocr", files=SCANS, data=data, headers=fresh).text)
    done = events[-1][1]
    assert done["text"] == DOCUMENT
    for page in done["data"]["pages"]:
        told = [d["text"] for name, d in events if name == "delta" and d["page"] == page["page"]]
        assert "".join(told) == page["text"]
        assert len(told) > 1


def test_html_is_safe_and_one(scripted: httpx.Client, fake_ollama: FakeOllama) -> None:
    row = "<tr><th>품목</th><th>수량</th></tr>"
    speaks(
        fake_ollama,
        (
            f'```html\n<body onload="x()"><h1>재고</h1><table>{row}<tr onclick="x()"><td>우유<td>2'
            "</table><script>fetch('//evil')</script><p>1 / 3</p></body>\n```"
        ),
        f"<table>{row}<tr><td>라면</td><td>3</td></tr></table><p>2 / 3</p>",
        '<p>$a<b$ <a href="javascript:x()">끝</a><img src=x onerror=x()></p><p>3 / 3</p>',
    )
    data = {"format": "html", "stream": "true"}
    response = scripted.post("/v1/ocr", files=SCANS, data=data)
    for bad in ("script", "onload", "onclick", "onerror", "href", "evil"):
        assert bad not in response.text
    assert sse(response.text)[-1][1]["text"] == (
        f"<h1>재고</h1>\n<table><tbody>{row}<tr><td>우유</td><td>2</td></tr>\n"
        "<tr><td>라면</td><td>3</td></tr>\n</tbody></table>\n<p>$a&lt;b$ 끝</p>"
    )


def test_each_file_is_a_document_of_its_own(
    scripted: httpx.Client, fake_ollama: FakeOllama
) -> None:
    files = [("image", SCANS["image"][1]), ("image", encoded(scene(128, 64)))]
    speaks(fake_ollama, "ACME\na\n1", "ACME\nb\n2", "ACME\nc\n3")
    answer = scripted.post("/v1/ocr", files=files).json()
    assert answer["text"] == "ACME\na\n\nb\n\nc\n\nACME\nb\n2"
    assert [one["page"] for one in answer["data"]["pages"]] == [1, 2, 3, None]


def test_one_page_is_as_it_was_read(scripted: httpx.Client, fake_ollama: FakeOllama) -> None:
    speaks(fake_ollama, "", "ACME\na\n1")
    answer = scripted.post("/v1/ocr", files=SCANS, data={"pages": "2"}).json()
    assert answer["text"] == "ACME\na\n1"
    assert "data" not in answer


def test_text_layers_are_joined_without_a_model(scripted: httpx.Client) -> None:
    pages = [f"ACME Ltd.\nBody of page {word}.\n- {n} -" for n, word in enumerate(("a", "b"), 1)]
    answer = scripted.post("/v1/ocr", files={"image": text_pdf(pages)}).json()
    assert answer["text"] == "ACME Ltd.\nBody of page a.\n\nBody of page b."
    assert 'page numbers ("- 1 -")' in answer["warnings"][-1]


def test_the_language_is_a_hint(scripted: httpx.Client, fake_ollama: FakeOllama) -> None:
    scripted.post("/v1/ocr", files=SCANS, data={"language": "ko-KR", "pages": "1"})
    asked = fake_ollama.asked[-1]["messages"][1]["content"]
    assert "The text is in Korean." in asked
    assert "Do not translate" in asked and "Answer in" not in asked


def page(lines: list[str]) -> Image.Image:
    """A printed page of short lines."""
    image = Image.new("RGB", (700, 480), "white")
    font = ImageFont.load_default(30)
    for number, line in enumerate(lines):
        ImageDraw.Draw(image).text((60, 60 + 90 * number), line, fill="black", font=font)
    return image


def test_scans_that_are_really_read(reader: httpx.Client) -> None:
    bodies = [["The first item is apples.", "We need four boxes."], ["Pears came on Monday."]]
    sheets = [
        page(["ACME Trading Company", *body, f"Page {n} of 2"]) for n, body in enumerate(bodies, 1)
    ]
    answer = reader.post("/v1/ocr", files={"image": pdf_of(*sheets)}).json()
    said = ["ACME Trading Company", *[line for body in bodies for line in body]]
    assert [line for line in answer["text"].split("\n") if line] == said
    assert 'page numbers ("Page 1 of 2")' in answer["warnings"][-1]
