"""The three tasks in every form, on the real daemon."""

from typing import Any

import httpx
import pytest

from tests.events import ndjson, sse, text_of
from tests.ollama_daemon.process import Daemon
from tests.pictures import base64_of, encoded, scene

JPEG = encoded(scene())
TASKS = {"describe": {}, "ocr": {}, "vqa": {"question": "What is red?"}}
tasks = pytest.mark.parametrize("task", TASKS)


def post(client: httpx.Client, task: str, accept: str = "*/*", **fields: Any) -> httpx.Response:
    return client.post(
        f"/v1/{task}",
        files={"image": ("a.jpg", JPEG)},
        data={**TASKS[task], **fields},
        headers={"Accept": accept},
    )


@tasks
def test_json(client: httpx.Client, daemon: Daemon, task: str) -> None:
    response = post(client, task)
    assert response.status_code == 200
    answer = response.json()
    assert answer["task"] == task
    assert answer["model"] == "tiny-vlm"
    assert answer["text"].endswith("tall grass")
    assert answer["finish_reason"] == "stop"
    assert answer["usage"]["completion_tokens"] == len(answer["text"].split()) + 1
    assert answer["images"][0] | {"tokens": 0} == {
        "index": 0,
        "page": None,
        "width": 640,
        "height": 480,
        "sent_width": 640,
        "sent_height": 480,
        "tokens": 0,
    }
    assert answer["cached"] is False
    assert answer["warnings"] == []
    assert ("answers" in answer) == (task == "vqa")
    assert answer["id"] == response.headers["x-request-id"]
    assert "prepare;dur=" in response.headers["server-timing"]


@tasks
def test_server_sent_events(client: httpx.Client, task: str) -> None:
    response = post(client, task, stream="true")
    assert response.headers["content-type"] == "text/event-stream"
    events = sse(response.text)
    names = [name for name, _ in events]
    assert names == ["start", *["delta"] * (len(names) - 2), "done"]
    assert len(names) >= 3  # what comes together goes out together
    done = events[-1][1]
    assert text_of(events) == done["text"]
    assert events[0][1] == {key: done[key] for key in ("id", "task", "model", "images")}


@tasks
def test_ndjson_is_the_same_stream(client: httpx.Client, task: str) -> None:
    lines = post(client, task, accept="application/x-ndjson", stream="true", temperature="0")
    assert lines.headers["content-type"] == "application/x-ndjson"
    events = ndjson(lines.text)
    again = sse(post(client, task, stream="true", temperature="0").text)
    assert {name for name, _ in events} == {name for name, _ in again}
    # What comes together goes out together, so that the pieces need not be the same.
    assert text_of(events) == text_of(again) == events[-1][1]["text"]
    pieces = [{**data, "text": ""} for name, data in events if name == "delta"]
    assert all({**data, "text": ""} in pieces for name, data in again if name == "delta")


@tasks
def test_plain_text_is_the_bare_answer(client: httpx.Client, task: str) -> None:
    whole = post(client, task, temperature="0").json()["text"]
    response = post(client, task, accept="text/plain", stream="true", temperature="0")
    assert response.headers["content-type"].startswith("text/plain")
    assert response.text == whole + "\n"


@tasks
def test_json_body_asks_the_same(client: httpx.Client, daemon: Daemon, task: str) -> None:
    form = post(client, task, temperature="0").json()
    body = {"image": base64_of(JPEG), "temperature": 0, **TASKS[task]}
    answer = client.post(f"/v1/{task}", json=body).json()
    assert answer["text"] == form["text"]
    assert answer["usage"]["prompt_tokens"] == form["usage"]["prompt_tokens"]
    uri = f"data:image/jpeg;base64,{base64_of(JPEG)}"
    assert client.post(f"/v1/{task}", json=body | {"image": [uri]}).json()["text"] == form["text"]


@tasks
def test_prompt_tokens_are_the_daemons_own(client: httpx.Client, daemon: Daemon, task: str) -> None:
    """The daemon is asked the very prompt that it logged, and counts it again."""
    mark = daemon.mark()
    used = post(client, task).json()["usage"]
    (prompt,) = daemon.since(mark).prompts
    again = {
        "model": "tiny-vlm",
        "raw": True,
        "stream": False,
        "prompt": prompt,
        "images": [base64_of(encoded(scene()))],
        "options": {"num_ctx": 4096, "num_predict": 1},
    }
    with httpx.Client(base_url=daemon.url, trust_env=False, timeout=120) as direct:
        counted = direct.post("/api/generate", json=again).json()["prompt_eval_count"]
    assert used["prompt_tokens"] == counted > 234  # the picture's own, for this model


def test_several_questions_share_the_prefix(client: httpx.Client, daemon: Daemon) -> None:
    questions = ["What is red?", "What is green?", "무엇이 파란색인가요?"]
    mark = daemon.mark()
    answer = client.post("/v1/vqa", files={"image": JPEG}, data={"question": questions}).json()
    assert [one["question"] for one in answer["answers"]] == questions
    assert answer["text"] == "\n\n".join(one["text"] for one in answer["answers"])
    prompts = daemon.since(mark).prompts
    assert len(prompts) == 3
    heads = {prompt.partition("Question:")[0] for prompt in prompts}
    assert len(heads) == 1
    assert "[img-0]" in heads.pop().split("Answer the question")[0]
    assert "Answer in Korean." in prompts[2]


def test_question_deltas_say_which(client: httpx.Client) -> None:
    data = {"question": ["What?", "Why?"], "stream": "true"}
    events = sse(client.post("/v1/vqa", files={"image": JPEG}, data=data).text)
    done = events[-1][1]
    for index, one in enumerate(done["answers"]):
        said = [data["text"] for name, data in events if data.get("question") == index]
        assert "".join(said) == one["text"]


def test_several_images_in_one_description(client: httpx.Client, daemon: Daemon) -> None:
    mark = daemon.mark()
    files = [("image", encoded(scene(64, 64))), ("image", JPEG)]
    answer = client.post("/v1/describe", files=files).json()
    assert [(one["index"], one["width"]) for one in answer["images"]] == [(0, 64), (1, 640)]
    (prompt,) = daemon.since(mark).prompts
    assert "[img-0]" in prompt and "[img-1]" in prompt and "There are 2 images" in prompt


def test_several_images_are_read_one_by_one(client: httpx.Client, daemon: Daemon) -> None:
    mark = daemon.mark()
    files = [("image", encoded(scene(64, 64))), ("image", JPEG)]
    response = client.post("/v1/ocr", files=files, data={"stream": "true"})
    prompts = daemon.since(mark).prompts
    assert [prompt.count("[img-") for prompt in prompts] == [1, 1]
    events = sse(response.text)
    parts = [
        "".join(data["text"] for name, data in events if name == "delta" and data["image"] == i)
        for i in (0, 1)
    ]
    assert events[-1][1]["text"] == "\n\n".join(parts)


@pytest.mark.parametrize(
    ("language", "question", "asked"),
    [
        ("ko", "What is this?", "Answer in Korean."),
        ("en", "이게 뭐예요?", "Answer in English."),
        (None, "이게 뭐예요?", "Answer in Korean."),
        (None, "What is this?", "Answer in the language of this message."),
    ],
)
def test_language_reaches_the_model(
    client: httpx.Client, daemon: Daemon, language: str | None, question: str, asked: str
) -> None:
    mark = daemon.mark()
    data = {"question": question} | ({"language": language} if language else {})
    assert client.post("/v1/vqa", files={"image": JPEG}, data=data).status_code == 200
    (prompt,) = daemon.since(mark).prompts
    assert asked in prompt


def test_options_reach_the_model(client: httpx.Client) -> None:
    short = post(client, "describe", max_tokens="3").json()
    assert short["finish_reason"] == "length"
    assert short["usage"]["completion_tokens"] == 3
    seeded = [
        post(client, "describe", seed="7", temperature="1.5").json()["text"] for _ in range(3)
    ]
    assert len(set(seeded)) == 1


def test_one_num_ctx_never_reloads_the_model(client: httpx.Client, daemon: Daemon) -> None:
    post(client, "describe")
    before = daemon.runners()
    for task in TASKS:
        assert post(client, task).status_code == 200
    assert daemon.runners() == before != []


def test_another_model_answers_where_asked(client: httpx.Client) -> None:
    answer = post(client, "describe", model="tiny-think").json()
    assert answer["model"] == "tiny-think"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_formats(client: httpx.Client, form: str) -> None:
    data = encoded(scene(), form)
    assert client.post("/v1/ocr", files={"image": data}).status_code == 200
