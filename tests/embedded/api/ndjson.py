"""The streamed answer of `/api/chat` as a list of objects."""

import json
from typing import Any

import httpx


async def stream_chat(client: httpx.AsyncClient, body: dict[str, Any]) -> list[dict[str, Any]]:
    response = await client.post("/api/chat", json=body)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]
