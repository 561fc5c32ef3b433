"""What is specific to this engine. tests/ollama_api compares the rest with the real daemon."""

import base64

import httpx
import pytest

from tests.embedded.api.ndjson import stream_chat
from tests.embedded.pictures import READ, blank, chat, example


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
    (line,) = await stream_chat(client, body)
    assert line["error"].startswith("Failed to create new sequence: failed to process inputs: ")
    response = await client.post("/api/chat", json={**body, "stream": False})
    assert response.status_code == 500
    assert response.json() == line


async def test_too_many_pixels(client: httpx.AsyncClient) -> None:
    response = await client.post("/api/chat", json=chat(READ, blank(8000, 6300), stream=False))
    assert response.status_code == 500
    assert "more than 50 megapixels" in response.json()["error"]


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
