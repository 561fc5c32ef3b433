"""The models of a server that speaks Ollama's API, and what is not `/api/chat`: the same assertions
for the real daemon and for the embedded engine."""

import re

import pytest

from tests.ollama_api.conftest import Server
from tests.polling import wait_until


def names(server: Server, path: str) -> list[str]:
    models = server.client.get(path).json()["models"]
    assert all(entry["name"] == entry["model"] for entry in models)
    return [entry["name"] for entry in models]


def test_root(server: Server) -> None:
    found, head = server.client.get("/"), server.client.head("/")
    assert (found.status_code, found.text) == (200, "Ollama is running")
    assert found.headers["content-type"].startswith("text/plain")
    assert (head.status_code, head.content) == (200, b"")


def test_version(server: Server) -> None:
    assert re.match(r"\d+\.\d+\.\d+", server.client.get("/api/version").json()["version"])
    assert server.client.head("/api/version").status_code == 200


def test_unknown_path(server: Server) -> None:
    response = server.client.get("/api/nope")
    assert (response.status_code, response.text) == (404, "404 page not found")
    assert response.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/chat"), ("POST", "/api/tags")])
def test_wrong_method(server: Server, method: str, path: str) -> None:
    response = server.client.request(method, path)
    assert (response.status_code, response.text) == (405, "405 method not allowed")


def test_tags(server: Server) -> None:
    entries = server.client.get("/api/tags").json()["models"]
    (entry,) = [entry for entry in entries if entry["name"] == f"{server.model}:latest"]
    keys = {"name", "model", "modified_at", "size", "digest", "details"}
    assert keys <= entry.keys()
    assert re.fullmatch("[0-9a-f]{64}", entry["digest"])
    assert entry["size"] > 0
    details = {"parent_model", "format", "family", "families", "parameter_size"}
    assert details | {"quantization_level"} <= entry["details"].keys()


def test_show(server: Server) -> None:
    shown = server.client.post("/api/show", json={"model": server.model}).json()
    assert set(shown["capabilities"]) == {"completion", "vision"}
    architecture = shown["model_info"]["general.architecture"]
    assert shown["model_info"][f"{architecture}.context_length"] > 0
    assert {"details", "modified_at", "template"} <= shown.keys()


@pytest.mark.parametrize("stream", [True, False])
def test_load_ps_and_unload(server: Server, stream: bool) -> None:
    asked = {"model": server.model, "stream": stream}
    loaded = server.client.post("/api/chat", json={**asked, "messages": []})
    assert loaded.headers["content-type"] == "application/json; charset=utf-8"
    expected = {"model": server.model, "done": True, "done_reason": "load"}
    expected["message"] = {"role": "assistant", "content": ""}
    assert expected.items() <= loaded.json().items()
    assert f"{server.model}:latest" in names(server, "/api/ps")
    unloaded = server.client.post("/api/chat", json={**asked, "keep_alive": 0}).json()
    assert {**expected, "done_reason": "unload"}.items() <= unloaded.items()
    wait_until(lambda: f"{server.model}:latest" not in names(server, "/api/ps"))


def test_ps(server: Server) -> None:
    server.client.post("/api/chat", json={"model": server.model})
    entries = server.client.get("/api/ps").json()["models"]
    (entry,) = [entry for entry in entries if entry["name"] == f"{server.model}:latest"]
    assert {"size", "digest", "details", "expires_at", "size_vram"} <= entry.keys()
