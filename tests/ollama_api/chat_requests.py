"""What is asked of a server that speaks Ollama's API, and its answer in lines."""

import json
from typing import Any

import httpx

from tests.ollama_api.conftest import Server


def body(server: Server, *images: str, **more: Any) -> dict[str, Any]:
    message = {"role": "user", "content": "What is this?", "images": list(images)}
    return {"model": server.model, "messages": [message], "stream": False, **more}


def lines(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]
