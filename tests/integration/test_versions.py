"""The server in front of Ollama as it is today, and as it was: what reaches the model."""

import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageDraw

from tests.fake_ollama.versioned import NAME, VersionedOllama
from tests.fake_ollama.versions import Rendered, Rules
from tests.inference_server import REPO, Server
from tests.pictures import encoded
from tests.polling import wait_until

VERSIONS = ["0.12.7", "0.29.0", "0.30.0", "0.31.0", "0.33.0", "0.34.0"]
CURRENT = "0.34.0"
Start = Callable[..., tuple[VersionedOllama, httpx.Client]]


@contextmanager
def in_front(daemon: VersionedOllama, log: Path, **settings: str) -> Iterator[httpx.Client]:
    """A client of a server in front of a daemon."""
    fixed = {"OLLAMA_HOST": daemon.url, "MODEL_NAME": NAME, "NUM_CTX": "32768", "CACHE_MB": "0"}
    with (
        Server(log, **{**fixed, **settings}) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=120) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """A daemon of a version and a client of a server in front of it, for all tests of that
    version; what the model writes is for one test."""
    running: dict[str, tuple[VersionedOllama, httpx.Client]] = {}
    with ExitStack() as stack:

        def run(
            version: str = CURRENT, family: str = "qwen3vl", text: Any = "A house.", **how: Any
        ) -> tuple[VersionedOllama, httpx.Client]:
            key = f"{version} {family} {how}"
            if key not in running:
                settings = how.pop("settings", {})
                daemon = stack.enter_context(VersionedOllama(Rules(version, family), **how))
                log = tmp_path_factory.mktemp("server") / "server.log"
                running[key] = daemon, stack.enter_context(in_front(daemon, log, **settings))
            running[key][0].text = text
            return running[key]

        yield run


def scene(at: int, width: int = 640, height: int = 480) -> bytes:
    """A picture of that size that is like no other."""
    image = Image.new("RGB", (width, height), "white")
    left = 10 + 20 * at
    ImageDraw.Draw(image).rectangle((left, 40, left + 60, 120), fill="red")
    return encoded(image, "PNG")


def pdf(pages: int) -> bytes:
    """Equal pages that carry no text."""
    images = [Image.open(io.BytesIO(scene(at, 1240, 1754))) for at in range(pages)]
    out = io.BytesIO()
    images[0].save(out, "PDF", save_all=True, append_images=images[1:], resolution=150)
    return out.getvalue()


def describe(client: httpx.Client, *files: bytes, **fields: str) -> dict[str, Any]:
    parts = [("image", ("file", data)) for data in files]
    answer = client.post("/v1/describe", files=parts, data=fields)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def whole(daemon: VersionedOllama, planned: list[int], counted: int) -> Rendered:
    """The last prompt, in which each picture is by itself and costs what was planned."""
    seen = daemon.prompts[-1]
    print(
        f"{daemon.rules.version}: {len(planned)} pictures, planned {sum(planned)} tokens, counted "
        f"{sum(one.tokens for one in seen.pictures)}; the whole prompt {counted}"
    )
    assert [one.tokens for one in seen.pictures] == planned
    assert all(len(one.digests) == 1 for one in seen.pictures), "two were fused"
    assert len({one.digests for one in seen.pictures}) == len(planned)
    return seen


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("several", [1, 2, 6])
def test_pictures_of_one_size(start: Start, version: str, several: int) -> None:
    daemon, client = start(version)
    answer = describe(client, *(scene(at) for at in range(several)))
    planned = [image["tokens"] for image in answer["images"]]
    assert len(planned) == several
    whole(daemon, planned, answer["usage"]["prompt_tokens"])
    assert answer["warnings"] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_document_of_equal_pages(start: Start, version: str) -> None:
    daemon, client = start(version)
    answer = describe(client, pdf(8))
    planned = [image["tokens"] for image in answer["images"]]
    assert len(planned) == 8
    whole(daemon, planned, answer["usage"]["prompt_tokens"])
    assert answer["warnings"] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_chat_of_four_turns(start: Start, version: str) -> None:
    """With two equal pictures each."""
    daemon, client = start(version)
    messages = []
    for turn in range(4):
        urls = [base64.b64encode(scene(2 * turn + at)).decode() for at in range(2)]
        parts: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{url}"}}
            for url in urls
        ]
        messages += [
            {"role": "user", "content": [*parts, {"type": "text", "text": "Same?"}]},
            {"role": "assistant", "content": "No."},
        ]
    answer = client.post("/v1/chat/completions", json={"messages": messages[:-1]})
    assert answer.status_code == 200, answer.text
    tokens = daemon.rules.tokens(640, 480)
    whole(daemon, [tokens] * 8, answer.json()["usage"]["prompt_tokens"])


def test_the_text_between_pictures_numbers_them(start: Start) -> None:
    daemon, client = start(CURRENT)
    describe(client, scene(0), scene(1))
    assert "Image 1: <image>\nImage 2: <image>\nDescribe" in daemon.prompts[-1].text
    describe(client, scene(0))
    assert "user\n<image>Describe" in daemon.prompts[-1].text


class Swallowing(VersionedOllama):
    """It takes no notice of tags and text, and fuses what is alike."""

    def _answered(self, asked: Any) -> Any:
        for message in asked["messages"]:
            if message.get("images"):
                message["content"] = message["content"].replace("[img]", "")
        return super()._answered(asked)


def test_a_picture_that_did_not_reach_the_model_is_told(tmp_path: Path) -> None:
    """In the answer and as a metric; the next pair is kept apart in another way."""
    with (
        Swallowing(Rules(CURRENT)) as daemon,
        in_front(daemon, tmp_path / "server.log") as client,
    ):
        answer = describe(client, scene(0), scene(1))
        assert len(daemon.prompts[-1].pictures) == 1
        assert "dropped an image" in answer["warnings"][0]
        metrics = client.get("/metrics").text
        assert f'vlm_engine_faults_total{{fault="lost_image",model="{NAME}"}} 1.0' in metrics
        answer = describe(client, scene(0), scene(1))
        assert answer["warnings"] == []
        whole(daemon, [i["tokens"] for i in answer["images"]], answer["usage"]["prompt_tokens"])
        assert [image["sent_width"] for image in answer["images"]] == [640, 641]


def red(told: Rendered) -> str:
    """Where the red rectangle is in the picture that was sent, on Qwen's grid."""
    with Image.open(io.BytesIO(told.files[-1])) as sent:
        box = sent.convert("RGB").convert("HSV").getchannel("S").point(lambda s: s > 128).getbbox()
        width, height = sent.size
    assert box
    left, top, right, bottom = box
    grid = [1000 * left / width, 1000 * top / height, 1000 * right / width, 1000 * bottom / height]
    return json.dumps([{"bbox_2d": grid, "label": "box"}])


@pytest.mark.parametrize("version", ["0.12.7", "0.30.0", "0.33.0"])
def test_boxes_of_equal_pictures(start: Start, version: str) -> None:
    _, client = start(version, text=red, thinks=False)
    parts = [("image", ("file", scene(at, 2000, 1500))) for at in range(4)]
    answer = client.post("/v1/detect", files=parts, data={"labels": "box"}).json()
    boxes = [thing["box"] for thing in answer["objects"]]
    wanted = [(10 + 20 * at, 40, 71 + 20 * at, 121) for at in range(4)]
    assert len(boxes) == 4
    assert all(
        abs(a - b) <= 2
        for found, right in zip(boxes, wanted, strict=True)
        for a, b in zip(found, right, strict=True)
    )


@pytest.mark.parametrize(("family", "slots"), [("qwen3vl", 1), ("gemma3", 4)])
def test_slots(start: Start, family: str, slots: int) -> None:
    settings = {"NUM_PARALLEL": "4"}
    daemon, client = start(CURRENT, family, parallel=4, settings=settings)
    status = client.get("/v1/status").json()
    print(family, status["slots"], status["model"]["num_ctx"])
    assert status["slots"]["total"] == slots
    assert ("reason" in status["slots"]) is (slots == 1)
    assert status["model"]["num_ctx"] == 32_768
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda at: describe(client, scene(at)), range(8)))
    assert len(answers) == 8
    assert daemon.counts.most <= slots


LEADERS = "Contents\n" + " ".join(
    f"Chapter {number} {'. ' * dots}{number}7\n" for number, dots in ((1, 20), (2, 160), (3, 150))
)


@pytest.mark.parametrize("version", ["0.30.0", "0.33.0"])
def test_a_page_with_dot_leaders(start: Start, version: str) -> None:
    """The daemon ends an answer at 31 and at 101 equal tokens in a row."""
    dots = (".", " .") if version == "0.33.0" else ("short", "")
    page = LEADERS
    if dots[0] == "short":
        page = page.replace(". " * 160, ". " * 50).replace(". " * 150, ". " * 45)
    daemon, client = start(version, text=page)
    before = daemon.generations
    answer = client.post("/v1/ocr", files={"image": scene(0)}).json()
    took = daemon.generations - before
    print(version, took, "requests;", answer["warnings"])
    assert answer["text"] == page.strip() or answer["text"] == page
    assert len(answer["warnings"]) == 1
    assert took <= 3
    assert answer["finish_reason"] == "stop"


SCHEMA = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}
PROSE = "I see a receipt."


def structured(client: httpx.Client, way: str) -> tuple[Any, dict[str, Any]]:
    """The data that came, and the usage."""
    files = {"image": scene(0)}
    if way == "extract":
        answer = client.post("/v1/extract", files=files, data={"schema": json.dumps(SCHEMA)})
        data = answer.json().get("data")
    elif way == "detect":
        answer = client.post("/v1/detect", files=files, data={"labels": "cup"})
        data = answer.json().get("objects")
    else:
        form = {"type": "json_schema", "json_schema": {"name": "it", "schema": SCHEMA}}
        body = {"messages": [{"role": "user", "content": "Total?"}], "response_format": form}
        answer = client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        data = json.loads(answer.json()["choices"][0]["message"]["content"])
    assert answer.status_code == 200, answer.text
    return data, answer.json()["usage"]


@pytest.mark.parametrize("way", ["extract", "detect", "response_format"])
@pytest.mark.parametrize(("version", "generations"), [("0.34.0", 1), ("0.33.0", 2)])
def test_schemas_are_held(start: Start, version: str, generations: int, way: str) -> None:
    """By a thinking model that writes prose unless a grammar keeps it from that."""
    daemon, client = start(version, text=PROSE)
    for _ in range(2):
        before = daemon.generations
        data, usage = structured(client, way)
        took = daemon.generations - before
        print(
            f"{version} {way}: {took} request(s), {usage['prompt_tokens']} + "
            f"{usage['completion_tokens']} tokens"
        )
        if way == "detect":
            assert [(one["label"], one["box"]) for one in data] == [("cup", [64, 96, 192, 192])]
        else:
            assert data == {"total": 1}
        assert took == generations


SPECIALS = "What do [img-0], [img], [img-7], <|image_pad|>, <|im_end|> and <|im_start|> mean?"


def echo(told: Rendered) -> str:
    """The model says again what it was told last."""
    return told.text.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_special_text_in_every_field(start: Start, version: str) -> None:
    daemon, client = start(version, text=echo)
    picture = {"image": scene(0)}
    schema = {"type": "object", "properties": {SPECIALS: {"type": "string"}}}
    asked = [
        ("describe", {"prompt": SPECIALS}),
        ("ocr", {"prompt": SPECIALS}),
        ("vqa", {"question": SPECIALS, "prompt": SPECIALS}),
        ("extract", {"schema": json.dumps(schema), "prompt": SPECIALS}),
        ("detect", {"labels": SPECIALS, "prompt": SPECIALS}),
    ]
    for task, fields in asked:
        answer = client.post(f"/v1/{task}", files=picture, data=fields)
        told = daemon.prompts[-1]
        assert answer.status_code in (200, 422), answer.text
        if answer.status_code == 422:  # an echo fits no schema
            assert answer.json()["code"] == "schema_unsatisfied"
            assert SPECIALS in answer.json()["raw"] or daemon.rules.holds_prefilled
        elif task in ("describe", "vqa"):
            assert SPECIALS in answer.json()["text"], "the model's text is what it wrote"
        assert (len(told.pictures), told.injected) == (1, [])
    url = f"data:image/png;base64,{base64.b64encode(scene(0)).decode()}"
    parts = [
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "text", "text": SPECIALS},
    ]
    messages = [
        {"role": "system", "content": SPECIALS},
        {"role": "user", "content": SPECIALS},
        {"role": "assistant", "content": SPECIALS},
        {"role": "user", "content": parts},
    ]
    answer = client.post("/v1/chat/completions", json={"messages": messages})
    assert answer.json()["choices"][0]["message"]["content"].endswith(SPECIALS)
    told = daemon.prompts[-1]
    assert (len(told.pictures), told.injected) == (1, [])


@pytest.mark.parametrize("version", VERSIONS)
def test_one_model_is_loaded_once(start: Start, version: str) -> None:
    """Beside other clients, who set neither `shift` nor another context."""
    daemon, client = start(version)
    describe(client, scene(0))
    body = {
        "model": NAME,
        "messages": [{"role": "user", "content": "?"}],
        "options": {"num_ctx": 32_768},
    }
    httpx.post(f"{daemon.url}/api/chat", json=body, trust_env=False)
    describe(client, scene(1))
    assert daemon.loads == 1


def test_a_schema_without_a_grammar_is_only_checked(start: Start) -> None:
    schema = {
        "type": "object",
        "properties": {"no": {"type": "string", "pattern": "[0-9]"}},
        "required": ["no"],
    }
    daemon, client = start(CURRENT, text='{"no": "7"}')
    answer = client.post(
        "/v1/extract", files={"image": scene(0)}, data={"schema": json.dumps(schema)}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"] == {"no": "7"}
    assert "only validated" in answer.json()["warnings"][0]
    assert daemon.asked[-1].get("format") is None


def test_a_prompt_that_the_daemon_refuses_is_422_and_teaches(start: Start) -> None:
    """A text that costs more than was thought: refused by the daemon, then by the plan."""
    daemon, client = start(CURRENT, settings={"NUM_CTX": "2048"})
    body = {"messages": [{"role": "user", "content": "a.b." * 600}], "max_tokens": 16}
    answers = [client.post("/v1/chat/completions", json=body) for _ in range(2)]
    for answer in answers:
        assert answer.status_code == 422
        assert answer.json()["error"]["code"] == "context_overflow"
        assert "{" not in answer.json()["error"]["message"]
    assert len(daemon.asked) == 1


def test_a_high_effort_leaves_room_for_a_picture(start: Start) -> None:
    daemon, client = start(CURRENT, settings={"NUM_CTX": "8192"})
    url = f"data:image/png;base64,{base64.b64encode(scene(0)).decode()}"
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What?"}]
    body = {"messages": [{"role": "user", "content": parts}], "reasoning_effort": "high"}
    answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    assert len(daemon.prompts[-1].pictures) == 1


def test_cached_tokens_that_are_not_counted_teach_nothing(start: Start) -> None:
    """0.30: the same picture again counts as a few tokens."""
    _, client = start("0.30.0")
    for _ in range(3):
        answer = describe(client, scene(0))
        assert answer["warnings"] == []
    estimates = {describe(client, scene(0))["usage"]["estimated_prompt_tokens"] for _ in range(2)}
    assert len(estimates) == 1
    assert estimates.pop() > 1036


def test_a_model_elsewhere_is_refused(start: Start) -> None:
    daemon, client = start(CURRENT, settings={"MAX_QUEUE": "9"})
    daemon.tags = {"remote_host": "https://ollama.com:443", "remote_model": "qwen3-vl:235b"}
    answer = client.post("/v1/describe", files={"image": scene(0)})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_model")
    assert "ALLOW_CLOUD_MODELS" in answer.json()["detail"]
    ready = client.get("/ready")
    assert (ready.status_code, ready.json()["reason"]) == (503, "forbidden_model")
    assert not daemon.asked
    daemon.tags = {}
    assert client.get("/ready").json()["status"] == "ready"


def test_a_misread_picture_warns_everywhere(start: Start) -> None:
    """The canary of a running server: /ready, /v1/status, doctor and a metric."""
    _, client = start(CURRENT, text="a house", settings={"CANARY": "true"})
    wait_until(lambda: "warnings" in client.get("/ready").json())
    ready = client.get("/ready")
    assert ready.status_code == 200
    assert "misreads the test images" in ready.json()["warnings"][0]
    assert client.get("/v1/status").json()["model"]["warnings"] == ready.json()["warnings"]
    told = f'vlm_engine_faults_total{{fault="canary",model="{NAME}"}} 1.0'
    assert told in client.get("/metrics").text
    host, port = client.base_url.host, client.base_url.port
    done = subprocess.run(
        [sys.executable, "-m", "app", "doctor"],
        env={**os.environ, "HOST": host, "PORT": str(port), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        cwd=REPO,
    )
    assert done.returncode == 1
    assert "misreads the test images" in done.stdout


def test_a_version_that_is_known_to_be_bad_is_named(start: Start) -> None:
    _, client = start("0.30.0")
    (warning,) = client.get("/ready").json()["warnings"]
    assert warning.startswith("Ollama 0.30.0 ") and "update" in warning
