"""Mixed traffic: answers, cache hits, bad requests, and a client that leaves."""

import socket
from dataclasses import dataclass
from uuid import uuid4

import httpx

from tests.pictures import encoded, scene

FILES = {"image": encoded(scene(64, 64))}


@dataclass(frozen=True, slots=True)
class Expected:
    """One request, and the code that counts it."""

    task: str
    code: str
    model: str = ""


def mixed(client: httpx.Client, model: str = "tiny-vlm") -> list[Expected]:
    """Send one request of each kind. The code of a cached answer is `ok`, too."""
    fresh = {"prompt": str(uuid4()), "max_tokens": "8"}
    sent = []

    def ask(task: str, code: str, found: bool = False, **data: str) -> httpx.Response:
        sent.append(Expected(task, code, model if found else ""))
        response = client.post(f"/v1/{task}", files=FILES, data=data)
        told = response.json()
        assert told.get("code", "ok") == code, told
        return response

    ask("describe", "ok", True, **fresh)
    ask("ocr", "ok", True, **fresh)
    assert ask("ocr", "ok", True, **fresh).json()["cached"] is True
    ask("vqa", "ok", True, question="What is it?", **fresh)
    ask("describe", "invalid_parameter", style="poem")
    ask("ocr", "model_not_found", model="nope")
    ask("vqa", "invalid_request")
    leave(client)
    sent.append(Expected("describe", "client_left"))
    headers = {"Authorization": "Bearer wrong"}
    assert client.post("/v1/ocr", files=FILES, headers=headers).status_code == 401
    sent.append(Expected("", "unauthorized"))
    return sent


def leave(client: httpx.Client) -> None:
    """Close the connection in the middle of the body."""
    url = client.base_url
    head = (
        "POST /v1/describe HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
        f"Authorization: {client.headers['authorization']}\r\nContent-Length: 1000\r\n\r\n{{"
    )
    with socket.create_connection((url.host, url.port or 80)) as connection:
        connection.sendall(head.encode())
