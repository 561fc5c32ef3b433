"""Health, readiness, status and the documents of the API."""

import re

import httpx
import pytest

from tests.inference_server import Server
from tests.ollama_daemon.process import Daemon
from tests.pictures import encoded, scene


def test_health(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}


def test_ready(client: httpx.Client) -> None:
    response = client.get("/ready")
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "model": "tiny-vlm"}


@pytest.mark.parametrize(
    ("model", "reason", "says"),
    [
        ("nope", "model_not_found", "ollama pull nope"),
        ("tiny-text", "invalid_parameter", "does not accept images"),
        ("qwen3-vl:32b-q4", "model_not_found", "ollama pull qwen3-vl:32b"),
    ],
)
def test_not_ready(
    daemon: Daemon, tmp_path_factory: pytest.TempPathFactory, model: str, reason: str, says: str
) -> None:
    log = tmp_path_factory.mktemp("unready") / "server.log"
    with Server(log, OLLAMA_HOST=daemon.url, MODEL_NAME=model) as server:
        response = httpx.get(f"{server.url}/ready", trust_env=False)
    assert response.status_code == 503
    assert response.json()["reason"] == reason
    assert says in response.json()["detail"]


def test_status(client: httpx.Client, daemon: Daemon) -> None:
    client.post("/v1/describe", files={"image": encoded(scene(64, 64))})
    status = client.get("/v1/status").json()
    assert status["engine"]["version"] == daemon.version
    model = status["model"]
    assert model["name"] == "tiny-vlm"
    assert model["capabilities"] == ["completion", "vision"]
    assert model["num_ctx"] == 4096
    assert len(model["digest"]) == 64
    assert model["loaded"] is True
    assert model["vram_ratio"] == 0
    assert status["slots"] == {"total": 1, "running": 0}
    assert status["queue"] == {"waiting": 0, "limit": 64}
    assert status["problem"] is None


def test_status_of_another_model(client: httpx.Client) -> None:
    status = client.get("/v1/status", params={"model": "tiny-think"}).json()
    assert status["model"]["name"] == "tiny-think"
    missing = client.get("/v1/status", params={"model": "nope"}).json()
    assert missing["model"] is None
    assert missing["problem"]["code"] == "model_not_found"


def test_documents(client: httpx.Client) -> None:
    assert "swagger" in client.get("/docs").text.lower()
    document = client.get("/openapi.json").json()
    for task in ("describe", "ocr", "vqa"):
        operation = document["paths"][f"/v1/{task}"]["post"]
        contents = operation["requestBody"]["content"]
        form = contents["multipart/form-data"]["schema"]
        assert form["properties"]["image"]["items"]["format"] == "binary"
        body = contents["application/json"]["schema"]
        assert set(body["properties"]) == set(form["properties"])
        assert "429" in operation["responses"]
        assert "`low`, `auto`, `high`" in body["properties"]["detail"]["description"]
    for reference in re.findall(r'"\$ref":"#/([^"]+)"', client.get("/openapi.json").text):
        part = document
        for step in reference.split("/"):
            part = part[step]


def test_the_documents_need_no_internet(client: httpx.Client) -> None:
    page = client.get("/docs").text
    sources = re.findall(r'(?:src|href)="([^"]+\.(?:js|css))"', page)
    assert len(sources) == 2
    for source in sources:
        assert source.startswith("/")
        assert len(client.get(source).content) > 100_000
