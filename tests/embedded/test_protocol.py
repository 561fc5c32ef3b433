"""What of the API is this engine's own; the rest is in tests/protocol, for the real daemon too."""

import base64
import json
from typing import Any

import httpx
import pytest

from tests.embedded.pictures import READ, blank, chat, example, truth


async def lines(client: httpx.AsyncClient, body: dict[str, Any]) -> list[dict[str, Any]]:
    response = await client.post("/api/chat", json=body)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


async def test_version(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/version")).json() == {"version": "0.9.3-embedded"}


async def test_tags_and_ps(client: httpx.AsyncClient) -> None:
    await client.post("/api/chat", json={"model": "embedded"})
    (tag,) = (await client.get("/api/tags")).json()["models"]
    (loaded,) = (await client.get("/api/ps")).json()["models"]
    assert tag["name"] == loaded["name"] == "embedded:latest"
    assert tag["digest"] == loaded["digest"]
    assert tag["details"]["family"] == "embedded"
    assert {"modified_at", "size"} <= tag.keys()
    assert loaded["size_vram"] == 0


@pytest.mark.parametrize("name", ["embedded", "embedded:latest"])
async def test_show(client: httpx.AsyncClient, name: str) -> None:
    shown = (await client.post("/api/show", json={"model": name})).json()
    assert shown["capabilities"] == ["completion", "vision"]
    assert shown["model_info"]["general.architecture"] == "embedded"
    assert shown["model_info"]["embedded.context_length"] == 32768


@pytest.mark.parametrize(
    ("image", "byte"),
    [
        ("not base64", 3),
        ("data:image/png;base64,AAAA", 4),
        (base64.b64encode(b"12345").decode().rstrip("="), 4),
        ("한글", 0),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_not_base64(client: httpx.AsyncClient, image: str, byte: int, stream: bool) -> None:
    body = chat(READ, stream=stream)
    body["messages"][0]["images"] = [image]
    response = await client.post("/api/chat", json=body)
    assert response.status_code == 400
    assert response.json() == {"error": f"illegal base64 data at input byte {byte}"}


@pytest.mark.parametrize("data", [b"", b"no image", blank()[:60], example("photo.jpg")[:5000]])
async def test_not_an_image(client: httpx.AsyncClient, data: bytes) -> None:
    body = chat(READ, data)
    (line,) = await lines(client, body)
    assert line["error"].startswith("Failed to create new sequence: failed to process inputs: ")
    response = await client.post("/api/chat", json={**body, "stream": False})
    assert response.status_code == 500
    assert response.json() == line


async def test_too_many_pixels(client: httpx.AsyncClient) -> None:
    response = await client.post("/api/chat", json=chat(READ, blank(8000, 6300), stream=False))
    assert response.status_code == 500
    assert "more than 50 megapixels" in response.json()["error"]


async def test_stream(client: httpx.AsyncClient) -> None:
    *deltas, last = await lines(client, chat(READ, example("table.png")))
    assert all(line["done"] is False for line in deltas)
    assert last["done"] is True
    assert last["done_reason"] == "stop"
    assert last["message"] == {"role": "assistant", "content": ""}
    text = "".join(line["message"]["content"] for line in deltas)
    assert [" ".join(line.split()) for line in text.splitlines()] == truth("table.txt")
    # One piece a delta, and the end of the answer counts one.
    assert last["eval_count"] == len(deltas) + 1
    # The words and full stops of the request and the 880 x 500 pixels of the picture.
    assert last["prompt_eval_count"] == 13 + 28 * 16
    parts = ("load_duration", "prompt_eval_duration", "eval_duration")
    assert last["load_duration"] > 0 and last["eval_duration"] > 0
    assert last["total_duration"] >= sum(last[part] for part in parts)


async def test_whole_is_the_stream_put_together(client: httpx.AsyncClient) -> None:
    body = chat(READ, example("receipt_ko.png"))
    streamed = await lines(client, body)
    whole = (await client.post("/api/chat", json={**body, "stream": False})).json()
    assert whole["message"]["content"] == "".join(x["message"]["content"] for x in streamed)
    assert whole["eval_count"] == streamed[-1]["eval_count"]
    assert whole["done"] is True
    # The first line left while the others were still being read.
    assert streamed[-1]["eval_duration"] > 0.3 * streamed[-1]["total_duration"]


async def test_length_limit(client: httpx.AsyncClient) -> None:
    body = chat(READ, example("table.png"), options={"num_predict": 3})
    *deltas, last = await lines(client, body)
    assert "".join(x["message"]["content"] for x in deltas) == "Monthly service report"
    assert (last["done_reason"], last["eval_count"]) == ("length", 3)


async def test_no_text_is_an_empty_answer(client: httpx.AsyncClient) -> None:
    (last,) = await lines(client, chat(READ, example("photo.jpg")))
    assert (last["message"]["content"], last["eval_count"]) == ("", 1)


async def test_several_images_are_apart(client: httpx.AsyncClient) -> None:
    body = chat(READ, example("table.png"), example("receipt_ko.png"), stream=False)
    text = (await client.post("/api/chat", json=body)).json()["message"]["content"]
    table, receipt = text.split("\n\n")
    assert table.startswith("Monthly service report")
    assert receipt.startswith("행복마트")


async def test_image_of_an_earlier_turn(client: httpx.AsyncClient) -> None:
    body = chat("Describe this image.", example("table.png"), stream=False)
    body["messages"] += [
        {"role": "assistant", "content": "A table."},
        {"role": "user", "content": "Read it."},
    ]
    text = (await client.post("/api/chat", json=body)).json()["message"]["content"]
    assert text.startswith("Monthly service report")


async def test_fields_of_newer_daemons(client: httpx.AsyncClient) -> None:
    body = chat(
        READ,
        blank(),
        stream=False,
        think=False,
        truncate=False,
        shift=False,
        format="json",
        keep_alive=-1,
        options={"temperature": 0, "num_ctx": 4096, "num_predict": -1},
    )
    assert (await client.post("/api/chat", json=body)).status_code == 200
